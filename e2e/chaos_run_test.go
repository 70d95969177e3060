package e2e

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// chaosPlan is what a run is made from, and all that it takes to have it again.
type chaosPlan struct {
	seed   uint64
	rounds int
	major  int      // of PostgreSQL; 0 is the installed one
	faults []string // by name, out of chaosFaults; nil is all that suit
	still  bool     // no DDL
	loss   string   // how history is lost between rounds: see chaosLosses; "any" draws
}

// again is how a run is repeated.
func (p chaosPlan) again(test string) string {
	text := fmt.Sprintf("PENSTOCK_CHAOS_SEED=%d PENSTOCK_CHAOS_ROUNDS=%d", p.seed, p.rounds)
	if p.major != 0 {
		text += fmt.Sprintf(" PENSTOCK_CHAOS_MAJOR=%d", p.major)
	}
	if p.faults != nil {
		text += " PENSTOCK_CHAOS_FAULTS='" + strings.Join(p.faults, ",") + "'"
	}
	if p.still {
		text += " PENSTOCK_CHAOS_STILL=1"
	}
	if p.loss != "" {
		text += " PENSTOCK_CHAOS_LOSS=" + p.loss
	}
	return text + " go test ./e2e -v -run '^" + test + "$'"
}

// chaosRun is one run: a server, an application that writes and alters, a
// Penstock that things happen to, and what is watched all the while.
type chaosRun struct {
	t        testing.TB
	plan     chaosPlan
	server   *testdb.Server
	settings map[string]string
	database string
	between  *proxy
	p        *penstock
	enlarge  func(megabytes int) // of the disk; nil if there is no small one
	disk     string
	model    *chaosModel
	draw     func(*rand.Rand) chaosTx // transactions, where they are not drawn from the model
	journal  *chaosJournal

	whileWriting func() (stop func()) // another application, that runs during a round

	done         atomic.Int64 // transactions of this round
	refused      atomic.Int64 // statements that failed
	reads        atomic.Int64 // of the bank
	ddlWaited    atomic.Int64 // longest, in nanoseconds
	serverShaken atomic.Int64 // the server was restarted, or connections ended
	epoch        atomic.Int64 // counts losses of history

	mu         sync.Mutex
	violations map[string]int
}

const chaosDDL = "chaos-ddl" // the application_name of the session that alters

func (c *chaosRun) rand(labels ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, labels...)
	return rand.New(rand.NewPCG(c.plan.seed, h.Sum64()))
}

// violation notes what must not be. The run goes on.
func (c *chaosRun) violation(format string, args ...any) {
	c.t.Helper()
	text := fmt.Sprintf(format, args...)
	key := text[:min(len(text), 60)]
	c.mu.Lock()
	c.violations[key]++
	n := c.violations[key]
	c.mu.Unlock()
	c.journal.note("violation", time.Now(), text, nil)
	if n <= 3 {
		c.t.Errorf("%s %s", time.Now().UTC().Format("15:04:05.000"), text)
	}
}

// pause is the pause between two looks at something.
func (c *chaosRun) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}

// newChaosRun starts a server and makes what every run needs.
func newChaosRun(t testing.TB, plan chaosPlan, database string) *chaosRun {
	name, _, _ := strings.Cut(t.Name(), "/")
	t.Logf("seed %d; again: %s", plan.seed, plan.again(name))
	c := &chaosRun{t: t, plan: plan, database: database, violations: map[string]int{}, model: &chaosModel{schemas: []string{"public"}}}
	c.journal = newJournal(t, plan.seed)
	r := c.rand("setting")
	c.settings = map[string]string{"max_prepared_transactions": "20", "logical_decoding_work_mem": []string{"64kB", "64MB"}[r.IntN(2)], "wal_sender_timeout": []string{"10s", "60s"}[r.IntN(2)]}
	c.server = dbtest.New(t, testdb.Options{Fast: true, Major: plan.major, Settings: c.settings})
	c.must(c.server.Exec(t.Context(), "postgres", "CREATE DATABASE "+database, "CREATE ROLE penstock SUPERUSER REPLICATION LOGIN PASSWORD 'chaos-password'"))
	c.must(c.server.Exec(t.Context(), c.database, slices.Concat(chaosPrelude, bankSchema)...))
	return c
}

// runChaos carries a plan out, on a schema that is drawn.
func runChaos(t testing.TB, plan chaosPlan) {
	c := newChaosRun(t, plan, "chaotic")
	c.drawSchema()
	c.begin()
	c.rounds()
	c.finish()
}

// drawSchema makes some schemas and tables, with rows.
func (c *chaosRun) drawSchema() {
	r := c.rand("schema")
	c.model.harass = r.IntN(3) == 0
	for range 3 {
		s := c.model.name(r, "s")
		c.model.schemas = append(c.model.schemas, s)
		c.must(c.server.Exec(c.t.Context(), c.database, "CREATE SCHEMA "+chaosQuote(s)))
	}
	session := &chaosSession{run: c, name: chaosDDL}
	defer session.close()
	for range 6 + r.IntN(8) {
		table := c.model.newTable(r)
		tx := chaosTx{end: "COMMIT"}
		for _, sql := range table.create(c.model, r) {
			tx.statements = append(tx.statements, chaosStatement{sql: sql})
		}
		tx.statements = append(tx.statements, chaosStatement{sql: table.populate(r, 1+r.IntN(2000))})
		if !session.transact(c.t.Context(), tx) {
			c.violation("a table cannot be made: %v", tx.statements)
		}
	}
}

func (c *chaosRun) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// begin starts Penstock, behind a proxy and at times on a small disk.
func (c *chaosRun) begin() {
	c.between = newProxy(c.t, c.server.Addr())
	u, _ := url.Parse(c.server.URL(c.database))
	u.Host, u.User = c.between.addr(), url.UserPassword("penstock", "chaos-password")
	c.p = configured(c.t, u.String())
	c.p.log.also = c.journal.beside(c.t, "penstock.log")
	if c.wants("disk") && os.Geteuid() == 0 {
		c.disk, c.enlarge = smallDisk(c.t, 2000)
		c.p.dataDir = filepath.Join(c.disk, "data")
		c.p.write(c.t, u.String())
	}
	c.p.start(c.t)
	c.p.integrate(c.t, "chaotic", c.database)
}

func (c *chaosRun) wants(fault string) bool {
	return c.plan.faults == nil || slices.Contains(c.plan.faults, fault)
}

// rounds has the application work while things happen, and then looks whether
// everything has arrived, again and again.
func (c *chaosRun) rounds() {
	ctx, cancel := context.WithCancel(c.t.Context())
	var watchers sync.WaitGroup
	watchers.Go(func() { c.watchBank(ctx) })
	watchers.Go(func() { c.watchLocks(ctx) })
	defer func() {
		cancel()
		watchers.Wait()
	}()
	for n := range c.plan.rounds {
		if c.plan.loss == "" {
			c.round(ctx, n)
		} else {
			c.settle(ctx) // there is something to lose
			lose := c.lose(n)
			c.round(ctx, n)
			lose()
			c.round(ctx, n+1000) // history goes on from there
		}
		c.heal(ctx)
		c.settle(ctx)
		if c.t.Failed() {
			return
		}
		c.verify(true)
	}
}

// round is one round of work.
func (c *chaosRun) round(ctx context.Context, n int) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.done.Store(0)
	draw := c.model.clone().transaction // all sessions but the altering one know the schema as it was
	if c.draw != nil {
		draw = c.draw
	}
	var writing, altering sync.WaitGroup
	for i := range 3 {
		writing.Go(func() { c.write(ctx, fmt.Sprintf("chaos-%d", i), c.rand("dml", n, i), draw) })
	}
	writing.Go(func() { c.write(ctx, "chaos-bank", c.rand("bank", n), transfer) })
	if !c.plan.still {
		altering.Go(func() { c.alter(ctx, n) })
	}
	halt := func() {}
	if c.whileWriting != nil {
		halt = c.whileWriting()
	}
	faults := c.schedule(n)
	for i, f := range faults {
		c.await(int64(40 * (i + 1)))
		c.mustRun()
		c.journal.note("fault", time.Now(), f.name, nil)
		began := time.Now()
		f.do(c)
		c.t.Logf("round %d: %s, %v", n, f.name, time.Since(began).Round(time.Millisecond))
	}
	altering.Wait()
	c.verify(false)
	c.await(int64(40 * (len(faults) + 2)))
	stop()
	writing.Wait()
	halt()
	c.finishPrepared()
}

// write sends transactions until the round is over.
func (c *chaosRun) write(ctx context.Context, name string, r *rand.Rand, draw func(*rand.Rand) chaosTx) {
	s := &chaosSession{run: c, name: name}
	defer s.close()
	for ctx.Err() == nil {
		s.transact(ctx, draw(r))
		c.done.Add(1)
		if r.IntN(3) == 0 {
			c.pause(ctx)
		}
	}
}

// alter sends the round's DDL, spread over it. What only fails because of a
// lock or the server is sent again.
func (c *chaosRun) alter(ctx context.Context, n int) {
	s := &chaosSession{run: c, name: chaosDDL}
	defer s.close()
	r := c.rand("ddl", n)
	for i := range 8 {
		c.awaitOr(ctx, int64(25*(i+1)))
		if r.IntN(6) == 0 {
			sql := c.model.single(r)
			if s.connect(ctx) == nil {
				_ = s.send(ctx, chaosStatement{sql: sql})
			}
			continue
		}
		tx := c.model.definition(r)
		for range 4 {
			refused := s.transact(ctx, tx)
			if refused || ctx.Err() != nil {
				break
			}
		}
	}
}

// await waits until the application has done n transactions in this round.
func (c *chaosRun) await(n int64) { c.awaitOr(c.t.Context(), n) }

func (c *chaosRun) awaitOr(ctx context.Context, n int64) {
	began := time.Now()
	for c.done.Load() < n && ctx.Err() == nil {
		if time.Since(began) > 2*patience {
			c.violation("the application stands still after %d transactions", c.done.Load())
			return
		}
		c.pause(ctx)
	}
}

// mustRun notes an end of Penstock that nobody asked for, and starts it again.
func (c *chaosRun) mustRun() {
	select {
	case <-c.p.done:
		c.violation("penstock ended by itself: %v\n%s", c.p.cmd.ProcessState, c.p.log.tail(3000))
		c.restart()
	default:
	}
}

// restart starts Penstock, without failpoints, after it has ended.
func (c *chaosRun) restart() {
	c.p.env = nil
	c.p.start(c.t)
}

// finishPrepared finishes transactions that a crash of the server has left.
func (c *chaosRun) finishPrepared() {
	conn, err := c.server.Conn(c.t.Context(), c.database)
	c.must(err)
	defer conn.Close(context.Background())
	await(c.t, "the application's sessions to end", func() bool {
		return len(mustTable(c.t, conn, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'chaos%' OR application_name = 'pgbench'")) == 0
	})
	for _, gid := range mustTable(c.t, conn, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()") {
		execute(c.t, conn, "COMMIT PREPARED '"+gid+"'")
	}
}

// finish deletes the integration, which must leave nothing.
func (c *chaosRun) finish() {
	if c.t.Failed() {
		return
	}
	c.p.awaitActive(c.t, "chaotic")
	c.delete(c.rand("deletion"))
	source, err := c.server.Conn(c.t.Context(), c.database)
	c.must(err)
	defer source.Close(context.Background())
	assertClean(c.t, source)
	c.t.Logf("%d statements of the application failed by its own doing, %d looks at the bank, its DDL waited %v for us at most",
		c.refused.Load(), c.reads.Load(), time.Duration(c.ddlWaited.Load()).Round(time.Millisecond))
}
