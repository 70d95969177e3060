package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shopSchema is an order-entry schema in the manner of TPC-C: composite keys
// throughout, a table without any, a queue that is emptied from the front, and
// one row per district and warehouse that all sessions want.
var shopSchema = []string{
	"CREATE SCHEMA oe",
	"CREATE TABLE oe.warehouse (w_id int PRIMARY KEY, ytd numeric(12,2) NOT NULL)",
	"CREATE TABLE oe.district (w_id int, d_id int, ytd numeric(12,2) NOT NULL, next_o_id int NOT NULL, PRIMARY KEY (w_id, d_id))",
	"CREATE TABLE oe.customer (w_id int, d_id int, c_id int, balance numeric(12,2) NOT NULL, paid numeric(12,2) NOT NULL, data text, PRIMARY KEY (w_id, d_id, c_id))",
	"CREATE TABLE oe.history (c_id int, d_id int, w_id int, at timestamptz NOT NULL, amount numeric(6,2) NOT NULL)",
	"CREATE TABLE oe.orders (w_id int, d_id int, o_id int, c_id int NOT NULL, entry timestamptz NOT NULL, carrier smallint, lines smallint NOT NULL, PRIMARY KEY (w_id, d_id, o_id))",
	"CREATE TABLE oe.new_order (w_id int, d_id int, o_id int, PRIMARY KEY (w_id, d_id, o_id))",
	"CREATE TABLE oe.line (w_id int, d_id int, o_id int, number int, i_id int NOT NULL, delivered timestamptz, quantity smallint NOT NULL, amount numeric(8,2) NOT NULL, PRIMARY KEY (w_id, d_id, o_id, number))",
	"CREATE TABLE oe.stock (w_id int, i_id int, quantity int NOT NULL, ytd int NOT NULL, data text, PRIMARY KEY (w_id, i_id))",
	fmt.Sprintf("INSERT INTO oe.warehouse SELECT g, 0 FROM generate_series(1, %d) g", shopWarehouses),
	fmt.Sprintf("INSERT INTO oe.district SELECT w, d, 0, 1 FROM generate_series(1, %d) w, generate_series(1, 10) d", shopWarehouses),
	fmt.Sprintf("INSERT INTO oe.customer SELECT w, d, c, 0, 0, repeat(md5(c::text), 15) FROM generate_series(1, %d) w, generate_series(1, 10) d, generate_series(1, 300) c", shopWarehouses),
	fmt.Sprintf("INSERT INTO oe.stock SELECT w, i, 50, 0, md5(i::text) FROM generate_series(1, %d) w, generate_series(1, 5000) i", shopWarehouses),
}

const shopWarehouses = 2

// shopQueries hold in every prefix of the shop's transactions: they return no
// row. Each is one of TPC-C's own conditions of consistency.
var shopQueries = map[string]string{
	"a warehouse has what its districts have": `SELECT w.w_id FROM oe.warehouse w JOIN (SELECT w_id, sum(ytd) AS ytd FROM oe.district GROUP BY w_id) d ON d.w_id = w.w_id WHERE w.ytd <> d.ytd`,
	"a district's next order follows its last": `SELECT d.w_id, d.d_id FROM oe.district d LEFT JOIN (SELECT w_id, d_id, max(o_id) AS o_id FROM oe.orders GROUP BY w_id, d_id) o
		ON o.w_id = d.w_id AND o.d_id = d.d_id WHERE d.next_o_id <> coalesce(o.o_id, 0) + 1`,
	"orders have their lines": `SELECT o.w_id, o.d_id FROM (SELECT w_id, d_id, sum(lines) AS n FROM oe.orders GROUP BY w_id, d_id) o
		JOIN (SELECT w_id, d_id, count(*) AS n FROM oe.line GROUP BY w_id, d_id) l ON l.w_id = o.w_id AND l.d_id = o.d_id WHERE o.n <> l.n`,
	"what is new has no carrier": `SELECT o.w_id FROM oe.orders o LEFT JOIN oe.new_order n ON n.w_id = o.w_id AND n.d_id = o.d_id AND n.o_id = o.o_id
		WHERE (n.o_id IS NULL) <> (o.carrier IS NOT NULL)`,
	"payments are in the history": `SELECT 1 FROM (SELECT sum(amount) AS h FROM oe.history), (SELECT sum(ytd) AS w FROM oe.warehouse) WHERE coalesce(h, 0) <> w`,
}

// shopTransaction draws one of the mix.
func shopTransaction(r *rand.Rand) chaosTx {
	w, d, c := 1+r.IntN(shopWarehouses), 1+r.IntN(10), 1+r.IntN(300)
	tx := chaosTx{end: "COMMIT"}
	add := func(format string, args ...any) {
		tx.statements = append(tx.statements, chaosStatement{sql: fmt.Sprintf(format, args...)})
	}
	switch n := r.IntN(100); {
	case n < 45: // new order
		lines := 5 + r.IntN(11)
		add("UPDATE oe.district SET next_o_id = next_o_id + 1 WHERE w_id = %d AND d_id = %d", w, d)
		last := fmt.Sprintf("(SELECT next_o_id - 1 FROM oe.district WHERE w_id = %d AND d_id = %d)", w, d)
		add("INSERT INTO oe.orders VALUES (%d, %d, %s, %d, now(), NULL, %d)", w, d, last, c, lines)
		add("INSERT INTO oe.new_order VALUES (%d, %d, %s)", w, d, last)
		items := r.Perm(5000)[:lines]
		slices.Sort(items) // locked in one order
		for number, item := range items {
			add("UPDATE oe.stock SET quantity = CASE WHEN quantity > 15 THEN quantity - 5 ELSE quantity + 86 END, ytd = ytd + 5 WHERE w_id = %d AND i_id = %d", w, item+1)
			add("INSERT INTO oe.line VALUES (%d, %d, %s, %d, %d, NULL, 5, %d.%02d)", w, d, last, number+1, item+1, r.IntN(500), r.IntN(100))
		}
		if r.IntN(20) == 0 {
			tx.end = "ROLLBACK"
		}
	case n < 90: // payment
		amount := fmt.Sprintf("%d.%02d", 1+r.IntN(4000), r.IntN(100))
		add("UPDATE oe.district SET ytd = ytd + %s WHERE w_id = %d AND d_id = %d", amount, w, d)
		add("UPDATE oe.warehouse SET ytd = ytd + %s WHERE w_id = %d", amount, w)
		data := ""
		if r.IntN(10) == 0 {
			data = fmt.Sprintf(", data = left('%d ' || data, 500)", r.IntN(1000))
		}
		add("UPDATE oe.customer SET balance = balance - %s, paid = paid + %s%s WHERE w_id = %d AND d_id = %d AND c_id = %d", amount, amount, data, w, d, c)
		add("INSERT INTO oe.history VALUES (%d, %d, %d, now(), %s)", c, d, w, amount)
	default: // delivery: the oldest new order of each district
		for d := 1; d <= 10; d++ {
			add(`WITH gone AS (DELETE FROM oe.new_order WHERE w_id = %[1]d AND d_id = %[2]d AND o_id = (SELECT min(o_id) FROM oe.new_order WHERE w_id = %[1]d AND d_id = %[2]d) RETURNING o_id),
				sent AS (UPDATE oe.orders o SET carrier = %[3]d FROM gone WHERE o.w_id = %[1]d AND o.d_id = %[2]d AND o.o_id = gone.o_id RETURNING o.o_id, o.c_id),
				done AS (UPDATE oe.line l SET delivered = now() FROM gone WHERE l.w_id = %[1]d AND l.d_id = %[2]d AND l.o_id = gone.o_id RETURNING amount)
				UPDATE oe.customer c SET balance = balance + (SELECT coalesce(sum(amount), 0) FROM done) FROM sent WHERE c.w_id = %[1]d AND c.d_id = %[2]d AND c.c_id = sent.c_id`, w, d, 1+r.IntN(10))
		}
	}
	return tx
}

// runOrders runs the mix, kills Penstock at random and at the points where it
// makes something durable, and looks whether readers see what can be.
func runOrders(t testing.TB, plan chaosPlan) {
	plan.still = true
	if plan.faults == nil {
		plan.faults = []string{"kill", "failpoint", "terminate", "slow"}
	}
	c := newChaosRun(t, plan, "chaotic")
	c.must(c.server.Exec(t.Context(), c.database, shopSchema...))
	c.draw = shopTransaction
	c.begin()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { c.watchShop(ctx) })
	c.rounds()
	cancel()
	watching.Wait()
	c.finish()
}

// runPgbench is the same with pgbench writing.
func runPgbench(t testing.TB, plan chaosPlan) {
	plan.still = true
	if plan.faults == nil {
		plan.faults = []string{"kill", "failpoint", "terminate", "slow"}
	}
	c := newChaosRun(t, plan, "bench")
	pgbench(t, c.server, "-i", "-q", "-s", "2")
	c.draw = transfer
	c.begin()
	c.whileWriting = func() func() {
		load := startLoad(t, c.server)
		return func() { load.stop(t) }
	}
	c.rounds()
	c.finish()
}

// watchShop asks the shop's questions in the warehouse again and again.
func (c *chaosRun) watchShop(ctx context.Context) {
	for ctx.Err() == nil {
		c.pause(ctx)
		conn, err := c.p.connect(ctx, c.database)
		if err != nil {
			continue
		}
		synced := func() bool {
			rows, err := table(ctx, conn, "SELECT table_name FROM svv_integration_table_state WHERE schema_name = 'oe' AND table_state = 'Synced' AND target_database = '"+c.database+"'")
			return err == nil && len(rows) == 8
		}
		for what, sql := range shopQueries {
			before := synced()
			if rows, err := table(ctx, conn, sql); err == nil && len(rows) > 0 && before && synced() {
				c.violation("a reader of the warehouse saw no prefix: not so: %s: %s", what, strings.Join(rows[:min(5, len(rows))], ", "))
			}
		}
		conn.Close(context.Background())
	}
}
