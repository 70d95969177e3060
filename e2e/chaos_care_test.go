package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/rds"

	"penstock/internal/failpoint"
)

// drawRefresh has tables loaded again, as an operator would.
func drawRefresh(r *rand.Rand) chaosFault {
	what := []string{"ALL TABLES", "INERROR TABLES", "REMEDIABLE TABLES", "TABLE bank.there, bank.log", "ALL TABLES IN SCHEMA bank"}[r.IntN(5)]
	return chaosFault{"refresh " + what, func(c *chaosRun) { c.refresh(what) }}
}

// refresh asks for it once the stream runs.
func (c *chaosRun) refresh(what string) {
	await(c.t, "tables to be refreshed", func() bool {
		conn, err := c.p.connect(c.t.Context(), "dev")
		if err != nil {
			c.mustRun()
			return false
		}
		defer conn.Close(context.Background())
		_, err = table(c.t.Context(), conn, fmt.Sprintf("ALTER DATABASE %s INTEGRATION REFRESH %s", c.database, what))
		return err == nil
	})
}

// heal makes good what is not a fault of the warehouse: what tables without an
// identity have missed, and labels that rows were stored with. Also where it is
// not meant to, the application updates such a table if two have exchanged
// their names. A server that has crashed does not know any more.
func (c *chaosRun) heal(ctx context.Context) {
	source, err := c.server.Conn(ctx, c.database)
	c.must(err)
	defer source.Close(context.Background())
	tables, err := shownTables(ctx, source)
	c.must(err)
	for _, t := range tables {
		if t.schema == "bank" || t.identity == "f" || t.identity != "n" && t.hasKey {
			continue
		}
		changed := mustTable(c.t, source, fmt.Sprintf("SELECT pg_stat_get_tuples_updated(o) + pg_stat_get_tuples_deleted(o) > 0 FROM (SELECT '%s'::regclass::oid o) x", strings.ReplaceAll(t.String(), "'", "''")))[0] == "t"
		if changed || c.serverShaken.Load() > 0 {
			c.t.Logf("%s has been updated without an identity", t)
			execute(c.t, source, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL", t))
		}
	}
	if c.model.renamed {
		c.refresh("ALL TABLES")
	}
}

// miscounted returns columns of which more values at the source cannot be held
// than the warehouse says.
func (c *chaosRun) miscounted(ctx context.Context, tables []*shownTable) (wrong []string) {
	source, err := c.server.Conn(ctx, c.database)
	c.must(err)
	defer source.Close(context.Background())
	conn, err := c.p.connect(ctx, "dev")
	if err != nil {
		return []string{err.Error()}
	}
	defer conn.Close(context.Background())
	rows, err := table(ctx, conn, `SELECT schema_name || '.' || table_name || '.' || column_name, "values" FROM penstock_bad_value WHERE target_database = '`+c.database+"'")
	if err != nil {
		return []string{err.Error()}
	}
	told := map[string]int{}
	for _, row := range rows {
		at := strings.LastIndexByte(row, '|')
		n := 0
		fmt.Sscan(row[at+1:], &n)
		told[row[:at]] = n
	}
	for _, t := range tables {
		for _, col := range t.columns {
			if kind := chaosTypes[col.kind]; kind != nil && kind.bad != "" {
				from := "ONLY " + t.String()
				if t.parted {
					from = t.String()
				}
				n := 0
				fmt.Sscan(mustTable(c.t, source, "SELECT count(*) FROM "+from+" WHERE "+fmt.Sprintf(kind.bad, chaosQuote(col.name)))[0], &n)
				if name := t.schema + "." + t.name + "." + col.name; told[name] < n {
					wrong = append(wrong, fmt.Sprintf("%s has %d values that the warehouse cannot hold, and %d are counted", name, n, told[name]))
				}
			}
		}
	}
	return wrong
}

// delete deletes the integration, and at times ends Penstock at the steps of it.
func (c *chaosRun) delete(r *rand.Rand) {
	steps := []failpoint.Point{failpoint.SourceSlotsDropped, failpoint.SourceAfterForgotten, failpoint.ControlCleaned, failpoint.ControlDetached,
		failpoint.ControlRecordGone, failpoint.StoreBeforeWrite, failpoint.StoreAfterWrite}
	in := c.p.describe(c.t, "chaotic")
	for range r.IntN(4) {
		points := fmt.Sprintf("%s=%d:%s", steps[r.IntN(len(steps))], 1+r.IntN(3), []string{"kill", "kill", "error"}[r.IntN(3)])
		c.t.Logf("the integration is deleted: %s", points)
		c.p.kill(c.t)
		c.p.env = []string{failpoint.Env + "=" + points}
		c.p.launch(c.t)
		await(c.t, "a step of the deletion", func() bool {
			select {
			case <-c.p.done:
				return true
			default:
			}
			_, err := c.p.client(secretKey).DeleteIntegration(c.t.Context(), &rds.DeleteIntegrationInput{IntegrationIdentifier: in.IntegrationArn})
			return err != nil && strings.Contains(err.Error(), "IntegrationNotFoundFault")
		})
		c.p.kill(c.t)
		c.restart()
	}
	await(c.t, "the deletion to be finished", func() bool {
		_, err := c.p.client(secretKey).DeleteIntegration(c.t.Context(), &rds.DeleteIntegrationInput{IntegrationIdentifier: in.IntegrationArn})
		return err != nil && strings.Contains(err.Error(), "IntegrationNotFoundFault")
	})
}
