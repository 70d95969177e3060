package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// shopSchema returns the statements that make and fill the shop.
func shopSchema(orders int) []string {
	return []string{
		`CREATE TYPE order_state AS ENUM ('new', 'paid', 'shipped')`,
		`CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL, email text, since date, tags text[])`,
		`CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint REFERENCES customer, state order_state, total numeric(12,2), details jsonb, ordered timestamptz DEFAULT now())`,
		`CREATE TABLE order_line (orders bigint REFERENCES orders, line int, product uuid, quantity int, price numeric(10,2), PRIMARY KEY (orders, line))`,
		fmt.Sprintf(`INSERT INTO customer SELECT i, 'Customer ' || i, 'c' || i || '@shop.example', date '2020-01-01' + i %% 2000, ARRAY['tag' || i %% 7, 'tag' || i %% 3] FROM generate_series(1, %d) i`, orders/10),
		fmt.Sprintf(`INSERT INTO orders SELECT i, 1 + i %% %d, 'new', (i %% 10000) / 7.0, jsonb_build_object('channel', i %% 4, 'note', repeat('n', i %% 30)) FROM generate_series(1, %d) i`, orders/10, orders),
		fmt.Sprintf(`INSERT INTO order_line SELECT 1 + i / 2, i %% 2, md5(i::text)::uuid, 1 + i %% 5, (i %% 1000) / 3.0 FROM generate_series(0, %d) i`, 2*orders-1),
	}
}

// watchChanges keeps writing, and shows source and warehouse side by side.
func (d *demo) watchChanges(ctx context.Context) error {
	d.title("5. Changes, as they are committed")
	d.byHand(fmt.Sprintf("psql 'host=127.0.0.1 port=%s user=admin password=%s dbname=shop' -c 'SELECT count(*), sum(total) FROM orders'", port(d.cfg.SQL.Listen), sqlPassword))
	warehouse, err := d.warehouse(ctx)
	if err != nil {
		return err
	}
	defer warehouse.Close(context.WithoutCancel(ctx))
	writing, stop := context.WithTimeout(ctx, d.Writing)
	defer stop()
	var g errgroup.Group
	g.Go(func() error {
		defer stop() // so that a failure ends the watching as well
		return d.write(ctx, writing)
	})
	d.say("   (the warehouse is asked a moment after the source, so it may be ahead)")
	d.say("            %22s   %22s", "source", "warehouse")
	d.say("            %10s %11s   %10s %11s   %s", "orders", "sum", "orders", "sum", "lag (commit to queryable)")
	began := time.Now()
	watch := func(again func() bool) error {
		return every(ctx, time.Second, func() (bool, error) {
			source, err := totals(ctx, d.shop)
			if err != nil {
				return false, err
			}
			there, err := totals(ctx, warehouse)
			if err != nil {
				return false, err
			}
			var lag *int64
			if err := warehouse.QueryRow(ctx, "SELECT current_lag FROM svv_integration").Scan(&lag); err != nil {
				return false, err
			}
			ms := "?"
			if lag != nil {
				ms = fmt.Sprint(*lag)
			}
			d.say("   %5.1f s  %10d %11s   %10d %11s   %s ms", time.Since(began).Seconds(), source.orders, source.sum, there.orders, there.sum, ms)
			if !again() && source == there {
				return true, nil
			}
			if time.Since(began) > d.Writing+time.Minute {
				return false, fmt.Errorf("the warehouse is not equal to the source a minute after the writing")
			}
			return false, nil
		})
	}
	if err := watch(func() bool { return writing.Err() == nil }); err != nil {
		return err
	}
	if err := g.Wait(); err != nil {
		return err
	}
	d.say("   the writing has ended, and both are equal")
	return nil
}

// write places, pays, ships and cancels orders until it is told to stop.
func (d *demo) write(ctx, until context.Context) error {
	conn, err := d.postgres.Conn(ctx, "shop")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for id := d.Orders + 1; until.Err() == nil; id++ {
		if err := conn.PgConn().Exec(ctx, transaction(id)).Close(); err != nil {
			return fmt.Errorf("write to the shop: %w", err)
		}
	}
	return nil
}

// transaction is what happens in the shop with one order: it is placed, an
// older one is paid, a customer is marked, now and then an order is cancelled.
func transaction(id int) string {
	cancel := ""
	if id%10 == 0 {
		cancel = fmt.Sprintf(`DELETE FROM order_line WHERE orders = %d; DELETE FROM orders WHERE id = %[1]d;`, id-7)
	}
	return fmt.Sprintf(`BEGIN;
		INSERT INTO orders (id, customer, state, total, details) VALUES (%[1]d, %[2]d, 'new', %[1]d %% 10000 / 7.0, '{"live": true}');
		INSERT INTO order_line VALUES (%[1]d, 0, gen_random_uuid(), 1, 9.99), (%[1]d, 1, gen_random_uuid(), 2, 19.99);
		UPDATE orders SET state = 'paid', total = total + 1 WHERE id = %[3]d;
		UPDATE customer SET tags = tags || 'buyer'::text WHERE id = %[2]d AND cardinality(tags) < 5;
		%[4]s COMMIT`, id, 1+id%100, id-5, cancel)
}

// total is what the two sides are compared by.
type total struct {
	orders int64
	sum    string
}

func totals(ctx context.Context, conn *pgx.Conn) (t total, err error) {
	err = conn.QueryRow(ctx, "SELECT count(*), CAST(sum(total) AS varchar) FROM public.orders").Scan(&t.orders, &t.sum)
	return t, err
}

// warehouse connects to the destination database as psql would.
func (d *demo) warehouse(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig("postgres://admin@" + d.cfg.SQL.Listen + "/shop?sslmode=require")
	if err != nil {
		return nil, err
	}
	cfg.Password = sqlPassword
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	return pgx.ConnectConfig(ctx, cfg)
}
