package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/jackc/pgx/v5"

	"penstock/internal/app"
	"penstock/internal/config"
	"penstock/internal/testdb"
)

// Options say how the demo runs.
type Options struct {
	Program string        // the penstock program, to be started with serve
	Orders  int           // in the shop before the integration; 0 is 200,000
	Writing time.Duration // how long rows are written while we watch; 0 is 8 s
	Out     io.Writer
	Styled  bool // Out is a terminal
}

// demo is one run.
type demo struct {
	Options
	dir      string
	postgres *testdb.Server
	server   *server
	cfg      *config.Config
	shop     *pgx.Conn // to the source
	api      *rds.Client
	arn      string // the integration's
}

// Run shows everything, and returns an error if anything did not work.
func Run(ctx context.Context, o Options) (err error) {
	if o.Orders == 0 {
		o.Orders = 200_000
	}
	if o.Writing == 0 {
		o.Writing = 8 * time.Second
	}
	d := &demo{Options: o}
	if d.dir, err = os.MkdirTemp("", "penstock-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, step := range []func(context.Context) error{
		d.startPostgres, d.startServer, d.create, d.watchLoad, d.watchChanges, d.remove, d.afterwards,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.Out, format+"\n", args...) }

func (d *demo) title(format string, args ...any) {
	d.say("%s", "\n"+d.style("1", "── "+fmt.Sprintf(format, args...)))
}

// byHand shows what a user would type.
func (d *demo) byHand(lines ...string) {
	for _, l := range lines {
		d.say("%s", d.style("2", "   $ "+l))
	}
}

// style sets text off on a terminal: bold or faint.
func (d *demo) style(code, text string) string {
	if !d.Styled {
		return text
	}
	return "\033[" + code + "m" + text + "\033[0m"
}

// startPostgres makes the source: a server, and a shop in it.
func (d *demo) startPostgres(ctx context.Context) (err error) {
	d.title("1. A throwaway PostgreSQL with a small shop")
	if d.postgres, err = testdb.Start(ctx, testdb.Options{Settings: map[string]string{"log_min_messages": "warning"}}); err != nil {
		return err
	}
	if err := d.postgres.Exec(ctx, "postgres", "CREATE DATABASE shop"); err != nil {
		return err
	}
	if d.shop, err = d.postgres.Conn(ctx, "shop"); err != nil {
		return err
	}
	for _, sql := range shopSchema(d.Orders) {
		if _, err := d.shop.Exec(ctx, sql); err != nil {
			return fmt.Errorf("fill the shop: %w", err)
		}
	}
	d.say("PostgreSQL %d on %s: %d customers, %d orders, %d order lines", d.postgres.Binaries.Major, d.postgres.Addr(), d.Orders/10, d.Orders, 2*d.Orders)
	return nil
}

// startServer starts penstock serve on a configuration of its own.
func (d *demo) startServer(ctx context.Context) (err error) {
	d.title("2. penstock serve")
	path := filepath.Join(d.dir, "penstock.yaml")
	if err := writeConfig(path, d.postgres.URL("postgres")); err != nil {
		return err
	}
	if d.cfg, err = config.Load(path); err != nil {
		return err
	}
	d.byHand("cat penstock.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	d.say("%s", indent(string(text)))
	d.byHand("penstock serve --config penstock.yaml")
	if d.server, err = startServer(ctx, d.Program, path, d.cfg.API.Listen, filepath.Join(d.dir, "penstock.log")); err != nil {
		return err
	}
	d.api = rds.New(rds.Options{
		Region: d.cfg.Region, BaseEndpoint: aws.String("http://" + d.cfg.API.Listen),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	d.say("ready: RDS API on http://%s, warehouse on %s", d.cfg.API.Listen, d.cfg.SQL.Listen)
	return nil
}

// create makes the integration through the RDS API.
func (d *demo) create(ctx context.Context) error {
	source, target := d.cfg.SourceARN(d.cfg.Source("shop")), d.cfg.TargetARN(d.cfg.Target("analytics"))
	d.title("3. CreateIntegration, by the AWS SDK for Go")
	d.byHand(
		"export AWS_ACCESS_KEY_ID="+accessKey+" AWS_SECRET_ACCESS_KEY="+secretKey+" AWS_DEFAULT_REGION="+d.cfg.Region,
		"aws rds create-integration --endpoint-url http://"+d.cfg.API.Listen+" --integration-name shop-analytics \\",
		"      --source-arn $(penstock arn shop) --target-arn $(penstock arn analytics) --data-filter 'include: shop.*.*'",
		"python3 -c \"import boto3; print(boto3.client('rds', endpoint_url='http://"+d.cfg.API.Listen+"').describe_integrations())\"")
	out, err := d.api.CreateIntegration(ctx, &rds.CreateIntegrationInput{
		IntegrationName: aws.String("shop-analytics"), SourceArn: aws.String(source), TargetArn: aws.String(target),
		DataFilter: aws.String("include: shop.*.*"), Description: aws.String("the demo's integration"),
		Tags: []types.Tag{{Key: aws.String("made-by"), Value: aws.String("demo")}},
	})
	if err != nil {
		return err
	}
	d.arn = aws.ToString(out.IntegrationArn)
	d.say("%s\n   status: %s", d.arn, out.Status)
	return nil
}

// describe returns the integration as the API shows it.
func (d *demo) describe(ctx context.Context) (*types.Integration, error) {
	out, err := d.api.DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{IntegrationIdentifier: aws.String(d.arn)})
	if err != nil {
		return nil, err
	}
	return &out.Integrations[0], nil
}

// watchLoad shows the initial load until the integration is active.
func (d *demo) watchLoad(ctx context.Context) error {
	d.title("4. The initial load")
	began := time.Now()
	return every(ctx, 200*time.Millisecond, func() (bool, error) {
		in, err := d.describe(ctx)
		if err != nil {
			return false, err
		}
		line := fmt.Sprintf("   %5.1f s  status %s", time.Since(began).Seconds(), in.Status)
		if report, err := app.FetchReport(ctx, d.cfg.DataDir); err == nil {
			line += loadProgress(report)
		}
		d.say("%s", line)
		switch {
		case in.Status == types.IntegrationStatusActive:
			return true, nil
		case len(in.Errors) > 0:
			return false, fmt.Errorf("the integration has a problem: %s", aws.ToString(in.Errors[0].ErrorMessage))
		case time.Since(began) > 5*time.Minute:
			return false, errors.New("the integration has not become active in five minutes")
		}
		return false, nil
	})
}

func loadProgress(r *app.Report) (line string) {
	for _, in := range r.Integrations {
		for _, s := range in.Streams {
			line += fmt.Sprintf(", %d rows loaded", s.RowsLoaded)
			if s.Loading != nil {
				line += fmt.Sprintf(" (%d of %d MB, %d of %d tables)", s.Loading.Bytes>>20, s.Loading.TotalBytes>>20, s.Loading.TablesDone, s.Loading.Tables)
			}
		}
	}
	return line
}

// remove deletes the integration and shows how it goes.
func (d *demo) remove(ctx context.Context) error {
	d.title("6. DeleteIntegration")
	d.byHand("aws rds delete-integration --endpoint-url http://" + d.cfg.API.Listen + " --integration-identifier shop-analytics")
	out, err := d.api.DeleteIntegration(ctx, &rds.DeleteIntegrationInput{IntegrationIdentifier: aws.String("shop-analytics")})
	if err != nil {
		return err
	}
	d.say("   status: %s", out.Status)
	began := time.Now()
	return every(ctx, 100*time.Millisecond, func() (bool, error) {
		in, err := d.describe(ctx)
		var gone *types.IntegrationNotFoundFault
		switch {
		case errors.As(err, &gone):
			d.say("   %.1f s later: %s: %s", time.Since(began).Seconds(), gone.ErrorCode(), gone.ErrorMessage())
			return true, nil
		case err != nil:
			return false, err
		case time.Since(began) > 2*time.Minute:
			return false, fmt.Errorf("the integration is still %s after two minutes", in.Status)
		}
		return false, nil
	})
}

// afterwards shows what is left: nothing at the source, everything in the
// warehouse.
func (d *demo) afterwards(ctx context.Context) error {
	d.title("7. What is left")
	var slots, publications int
	err := d.shop.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_publication)`).Scan(&slots, &publications)
	if err != nil {
		return err
	}
	d.say("   at the source: %d replication slots, %d publications", slots, publications)
	warehouse, err := d.warehouse(ctx)
	if err != nil {
		return err
	}
	defer warehouse.Close(ctx)
	t, err := totals(ctx, warehouse)
	if err != nil {
		return err
	}
	d.say("   in the warehouse, still readable: %d orders, %s in all", t.orders, t.sum)
	if slots+publications > 0 {
		return errors.New("something was left at the source")
	}
	return nil
}

// close ends what was started and removes what was written.
func (d *demo) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.stop(ctx))
	}
	if d.shop != nil {
		errs = append(errs, d.shop.Close(ctx))
	}
	if d.postgres != nil {
		errs = append(errs, d.postgres.Close())
	}
	errs = append(errs, os.RemoveAll(d.dir))
	err := errors.Join(errs...)
	if err == nil {
		d.say("\nStopped both servers and removed %s: nothing of the demo is left.", d.dir)
	}
	return err
}

// every calls f in intervals until it says that it is done.
func every(ctx context.Context, interval time.Duration, f func() (done bool, err error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
