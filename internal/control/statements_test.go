package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
)

// Tune makes options visible, unless the runner is to be one that cannot.
func (r *fakeRunner) Tune(o penstock.DatabaseOptions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tuned = append(r.tuned, o)
}

// manual has the bench's target wait for statements.
func (b *bench) manual() {
	b.stop()
	t := b.cfg.Targets["analytics"]
	t.Manual = true
	b.cfg.Targets["analytics"] = t
	b.make()
	b.start()
}

// restart stops everything and begins anew, as a crash would.
func (b *bench) restart() {
	b.stop()
	b.make()
	b.start()
	synctest.Wait()
}

func (b *bench) create2(name string) penstock.Integration {
	b.t.Helper()
	r := b.request(name)
	r.DataFilter = "include: app.*.*, include: crm.*.*"
	in, err := b.svc.Create(context.Background(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.after(time.Second)
	return in
}

func (b *bench) connected(id penstock.IntegrationID, name, source string) error {
	defer synctest.Wait()
	return b.sup.CreateDatabase(context.Background(), "analytics", penstock.NewDatabase{Name: name, Integration: id, SourceDatabase: source})
}

func (b *bench) drop(name string) error {
	return b.sup.DropDatabase(context.Background(), "analytics", name)
}

// states returns what is stored about the databases.
func states(dbs []penstock.DestinationDatabase) string {
	var all []string
	for _, d := range dbs {
		all = append(all, d.SourceDatabase+"="+d.Name+":"+string(d.State))
	}
	return strings.Join(all, " ")
}

// shown returns the streams as the system views have them.
func (b *bench) shown() string {
	var all []string
	for _, v := range b.sup.Snapshot() {
		for _, s := range v.Streams {
			all = append(all, s.Database.SourceDatabase+"="+s.Database.Name+":"+string(s.State))
		}
	}
	return strings.Join(all, " ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestManualDatabasesWaitForStatements(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.manual()
		in := b.create2("one")
		b.want(in.ID, penstock.StatusActive)
		want(t, "streams", b.shown(), "app=:PendingDbConnectState crm=:PendingDbConnectState")
		if b.made() != 0 || len(b.target.has()) != 0 {
			t.Fatalf("%d runners were made, and %v", b.made(), b.target.has())
		}
		if err := b.connected(in.ID, "App", "app"); err != nil {
			t.Fatal(err)
		}
		want(t, "streams", b.shown(), "app=App:SchemaDiscoveryState crm=:PendingDbConnectState")
		want(t, "stored", states(b.get(in.ID).Databases), "app=App:")
		if r := b.newest(); b.made() != 1 || r.db.Name != "App" || !slices.Equal(b.target.has(), []string{"App"}) {
			t.Errorf("%d runners were made, for %s, and %v", b.made(), r.db.Name, b.target.has())
		}
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableResyncInitiated, false))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive) // its first load is no reload
		b.restart()
		want(t, "streams after a restart", b.shown(), "app=App:SchemaDiscoveryState crm=:PendingDbConnectState")

		// Nothing is at the source of an integration without databases, so it is not asked.
		two := b.request("two")
		two.SourceARN = b.cfg.SourceARN("db", "old")
		two.DataFilter = ""
		other, err := b.svc.Create(t.Context(), two)
		if err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.my.setForget(unreachable())
		if _, err := b.svc.Delete(t.Context(), other.ARN); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.gone(other.ID)
	})
}

func TestCreateDatabaseRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.manual()
		in := b.create2("one")
		create := func(name string, id penstock.IntegrationID, source string) error {
			return b.connected(id, name, source)
		}
		wantKind(t, create("d", "5b9f3b4e", "app"), penstock.KindIntegrationNotFound, `no integration "5b9f3b4e" replicates into this warehouse`)
		err := b.sup.CreateDatabase(t.Context(), "second", penstock.NewDatabase{Name: "d", Integration: in.ID, SourceDatabase: "app"})
		wantKind(t, err, penstock.KindIntegrationNotFound, "into this warehouse")
		wantKind(t, create("d", in.ID, "hr"), penstock.KindNotFound, "does not replicate a source database hr")
		wantKind(t, create("d", in.ID, ""), penstock.KindInvalid, "DATABASE app, DATABASE crm")
		wantKind(t, create("dev", in.ID, "app"), penstock.KindConflict, "already exists")
		if err := create("d", in.ID, "app"); err != nil {
			t.Fatal(err)
		}
		wantKind(t, create("d", in.ID, "crm"), penstock.KindConflict, `database "d" already exists`)
		wantKind(t, create("D", in.ID, "crm"), penstock.KindConflict, `database "D" already exists`)
		wantKind(t, create("e", in.ID, "app"), penstock.KindAlreadyExists, "of app into database d already")
		want(t, "stored", states(b.get(in.ID).Databases), "app=d:")

		// What cannot be made is not stored.
		b.target.set(func() { b.target.openErr = penstock.Errorf(penstock.KindFull, "disk full") })
		wantKind(t, create("e", in.ID, "crm"), penstock.KindFull, "disk full")
		want(t, "stored", states(b.get(in.ID).Databases), "app=d:")
		// Its stream may have been faster.
		b.target.set(func() {
			b.target.openErr = penstock.Errorf(penstock.KindConflict, "it is being written to already")
			b.target.list = append(b.target.list, penstock.DatabaseSpec{Name: "e", Integration: in.ID, SourceARN: in.SourceARN, SourceDatabase: "crm"})
		})
		if err := create("e", in.ID, "crm"); err != nil {
			t.Error(err)
		}
		b.target.set(func() { b.target.openErr = nil })

		if _, err := b.svc.Delete(t.Context(), in.ARN); err != nil {
			t.Fatal(err)
		}
		err = create("f", in.ID, "app")
		if k := penstock.KindOf(err); k != penstock.KindInvalidState && k != penstock.KindAlreadyExists {
			t.Errorf("of one that is being deleted: %v", err)
		}
	})
}

func TestDropAndCreateAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in := b.create2("one")
		want(t, "streams", b.shown(), "app=app:SchemaDiscoveryState crm=crm:SchemaDiscoveryState")
		b.target.set(func() {
			for _, name := range []string{"app", "crm"} {
				b.target.list = append(b.target.list, penstock.DatabaseSpec{Name: name, Integration: in.ID, SourceARN: in.SourceARN, SourceDatabase: name})
			}
		})
		other := b.runners[slices.IndexFunc(b.runners, func(r *fakeRunner) bool { return r.db.Name == "crm" })]
		if err := b.drop("app"); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		want(t, "stored", states(b.get(in.ID).Databases), "app=:pending crm=crm:")
		want(t, "streams", b.shown(), "crm=crm:SchemaDiscoveryState app=:PendingDbConnectState")
		if b.made() != 2 || b.running() != 1 || !other.running || !slices.Equal(b.target.has(), []string{"crm"}) || !slices.Equal(b.pg.cleaned, []string{"app"}) || len(b.pg.forgotten) != 0 {
			t.Errorf("%d runners were made, %d run; databases %v, cleaned %v", b.made(), b.running(), b.target.has(), b.pg.cleaned)
		}
		wantKind(t, b.drop("app"), penstock.KindNotFound, "there is no database app")

		// It does not come back by itself, also not with another filter or a restart.
		b.restart()
		b.after(time.Minute)
		want(t, "stored", states(b.get(in.ID).Databases), "app=:pending crm=crm:")
		if err := b.connected(in.ID, "app2", "app"); err != nil {
			t.Fatal(err)
		}
		want(t, "stored", states(b.get(in.ID).Databases), "app=app2: crm=crm:")
		if b.newest().db.Name != "app2" {
			t.Errorf("the newest runner is for %s", b.newest().db.Name)
		}
		b.wantEvents("P0007 P0006")

		// Once the filter does not name it any more, that it was dropped is forgotten.
		if err := b.drop("app2"); err != nil {
			t.Fatal(err)
		}
		b.newest().set(penstock.StreamCdcRefresh)
		for _, r := range b.runners {
			r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		}
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		text := "include: crm.*.*"
		if _, err := b.svc.Modify(t.Context(), ModifyRequest{Identifier: in.ARN, DataFilter: &text}); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		want(t, "stored", states(b.get(in.ID).Databases), "crm=crm:")
	})
}

func TestDropOfAnUnreachableSource(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		b.pg.setForget(unreachable())
		if err := b.drop("app"); err != nil { // the warehouse has let go of it
			t.Fatal(err)
		}
		b.after(10 * time.Second)
		want(t, "stored", states(b.get(in.ID).Databases), "app=:dropped")
		b.want(in.ID, penstock.StatusActive, penstock.ProblemSourceUnclean)
		b.restart()
		b.after(time.Minute)
		want(t, "stored", states(b.get(in.ID).Databases), "app=:dropped")
		b.pg.setForget(nil)
		b.after(time.Minute)
		want(t, "stored", states(b.get(in.ID).Databases), "app=:pending")
		b.want(in.ID, penstock.StatusActive)

		// One that is connected again is not cleaned under the new stream.
		if err := b.connected(in.ID, "app", "app"); err != nil {
			t.Fatal(err)
		}
		b.pg.setForget(unreachable())
		if err := b.drop("app"); err != nil {
			t.Fatal(err)
		}
		if err := b.connected(in.ID, "again", "app"); err != nil {
			t.Fatal(err)
		}
		cleaned := len(b.pg.cleaned)
		b.pg.setForget(nil)
		b.after(time.Hour)
		if len(b.pg.cleaned) != cleaned {
			t.Error("the source was cleaned although it is in use")
		}
		want(t, "stored", states(b.get(in.ID).Databases), "app=again:")

		// An integration is deleted with what is dropped and not clean yet.
		b.pg.setForget(unreachable())
		if err := b.drop("again"); err != nil {
			t.Fatal(err)
		}
		b.newest().set(penstock.StreamCdcRefresh)
		b.after(time.Second)
		if _, err := b.svc.Delete(t.Context(), in.ARN); err != nil {
			t.Fatal(err)
		}
		b.after(2 * time.Minute)
		b.gone(in.ID)
		if orphans, err := b.cfg.Store.Orphans(t.Context()); err != nil || len(orphans) != 1 {
			t.Errorf("the orphans are %+v, %v", orphans, err)
		}
	})
}

func TestDropThatTheTargetRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		b.target.set(func() { b.target.dropErr = errors.New("input/output error") })
		err := b.drop("app")
		if err == nil || !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("the statement says %v", err)
		}
		b.after(time.Second)
		want(t, "stored", states(b.get(in.ID).Databases), "app=app:dropping")
		b.want(in.ID, penstock.StatusActive, penstock.ProblemTargetFailed)
		if r.running {
			t.Error("its stream runs on")
		}
		wantKind(t, b.connected(in.ID, "x", "app"), penstock.KindInvalidState, "is being dropped")
		b.restart()
		b.after(time.Second)
		b.target.set(func() { b.target.dropErr = nil })
		b.after(time.Minute)
		want(t, "stored", states(b.get(in.ID).Databases), "app=:pending")
		b.want(in.ID, penstock.StatusActive)
	})
}

// A crash after any step of dropping a database is made good.
func TestDropContinuesAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		for _, state := range []penstock.DatabaseState{penstock.DatabaseDropping, penstock.DatabaseDropped, penstock.DatabasePending} {
			b.stop()
			name := "app"
			if state != penstock.DatabaseDropping {
				name = ""
			}
			if _, err := b.cfg.Store.Update(t.Context(), in.ID, func(in *penstock.Integration) error {
				in.Databases = []penstock.DestinationDatabase{{Name: name, SourceDatabase: "app", State: state}}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			made := b.made()
			b.make()
			b.start()
			b.after(time.Second)
			want(t, "stored after "+string(state), states(b.get(in.ID).Databases), "app=:pending")
			if b.made() != made {
				t.Errorf("%s: a stream was begun", state)
			}
		}
	})
}

// One whose source is gone from the configuration can be dropped as well.
func TestDropOfAFailedIntegration(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		b.stop()
		b.cfg.Sources = map[string]SourceEntry{"other": b.cfg.Sources["old"]}
		b.make()
		b.start()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusFailed, penstock.ProblemSourceGone)
		if err := b.drop("app"); err != nil {
			t.Error(err)
		}
		want(t, "stored", states(b.get(in.ID).Databases), "app=:dropped")
		wantKind(t, b.connected(in.ID, "app", "app"), penstock.KindInvalidState, "its source is not in the configuration")
	})
}

func TestDropOfADetachedDatabase(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.target.set(func() { b.target.list = []penstock.DatabaseSpec{{Name: "left", SourceARN: "arn:x"}} })
		wantKind(t, b.drop("none"), penstock.KindNotFound, "there is no database none")
		if err := b.drop("left"); err != nil || len(b.target.has()) != 0 {
			t.Errorf("%v; there are %v", err, b.target.has())
		}
	})
}

// A database that an integration of the same source has left is taken over
// under its name.
func TestCreateAdopts(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.manual()
		in := b.create2("one")
		b.target.set(func() {
			b.target.list = []penstock.DatabaseSpec{{Name: "app", SourceARN: in.SourceARN, SourceDatabase: "app"}, {Name: "alien", SourceARN: "arn:x", SourceDatabase: "crm"}}
		})
		wantKind(t, b.connected(in.ID, "app", "crm"), penstock.KindConflict, "already exists")
		wantKind(t, b.connected(in.ID, "alien", "crm"), penstock.KindConflict, "already exists")
		if err := b.connected(in.ID, "app", "app"); err != nil {
			t.Fatal(err)
		}
		want(t, "stored", states(b.get(in.ID).Databases), "app=app:")
	})
}

func TestOptionsReachTheStream(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		yes, minute := true, time.Minute
		set := func(c penstock.OptionsChange) {
			t.Helper()
			if err := b.sup.SetOptions(t.Context(), "analytics", "app", c); err != nil {
				t.Fatal(err)
			}
		}
		set(penstock.OptionsChange{QueryAllStates: &yes})
		set(penstock.OptionsChange{RefreshInterval: &minute})
		all := penstock.DatabaseOptions{QueryAllStates: true, RefreshInterval: time.Minute}
		if len(r.tuned) != 2 || r.tuned[1] != all || b.made() != 1 {
			t.Errorf("tuned %+v, %d runners were made", r.tuned, b.made())
		}
		if got := b.sup.Snapshot()[0].Streams[0].Database.Options; got != all {
			t.Errorf("shown: %+v", got)
		}
		err := b.sup.SetOptions(t.Context(), "analytics", "none", penstock.OptionsChange{QueryAllStates: &yes})
		wantKind(t, err, penstock.KindNotFound, "no integration replicates into database none")

		// They are there for the next runner, and after a restart.
		r.fail <- errors.New("it broke")
		b.after(time.Second)
		if b.made() != 2 || b.newest().db.Options != all {
			t.Errorf("%d runners were made, with %+v", b.made(), b.newest().db.Options)
		}
		b.restart()
		if b.newest().db.Options != all || b.get(in.ID).Databases[0].Options != all {
			t.Errorf("after a restart %+v", b.newest().db.Options)
		}

		// A database that is dropped takes its options along.
		if err := b.drop("app"); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		if err := b.connected(in.ID, "app", "app"); err != nil {
			t.Fatal(err)
		}
		if o := b.newest().db.Options; o != (penstock.DatabaseOptions{}) {
			t.Errorf("made again with %+v", o)
		}
	})
}

// plainRunner cannot be tuned.
type plainRunner struct{ r *fakeRunner }

func (p plainRunner) Run(ctx context.Context) error { return p.r.Run(ctx) }
func (p plainRunner) Status() penstock.StreamStatus { return p.r.Status() }

func TestOptionsOfARunnerThatCannotBeTuned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		runners := b.cfg.Runners
		b.cfg.Runners = func(in penstock.Integration, db penstock.DestinationDatabase) (Runner, error) {
			r, err := runners(in, db)
			return plainRunner{r.(*fakeRunner)}, err
		}
		b.make()
		b.start()
		defer func() { b.stop() }()
		b.create2("one")
		yes := true
		if err := b.sup.SetOptions(t.Context(), "analytics", "app", penstock.OptionsChange{AcceptInvChars: &yes}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r := b.newest(); b.made() != 3 || b.running() != 2 || r.db.SourceDatabase != "app" || !r.db.Options.AcceptInvChars {
			t.Errorf("%d runners were made, %d run, the newest with %+v", b.made(), b.running(), r.db)
		}
	})
}

// A stream that leaves ends when it has emptied its database.
func TestLeavingStreamEndsOnceEmpty(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in := b.create2("one")
		for _, r := range b.runners {
			r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		}
		b.after(time.Second)
		text := "include: crm.*.*"
		if _, err := b.svc.Modify(t.Context(), ModifyRequest{Identifier: in.ARN, DataFilter: &text}); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		for _, r := range b.runners[2:] {
			r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		}
		b.after(time.Second)
		want(t, "stored", states(b.get(in.ID).Databases), "app=app: crm=crm:")
		for _, r := range b.runners[2:] {
			if r.db.SourceDatabase == "app" {
				r.set(penstock.StreamCdcRefresh)
			}
		}
		b.after(time.Second)
		want(t, "stored", states(b.get(in.ID).Databases), "crm=crm:")
		if b.running() != 1 || !slices.Equal(b.target.detached, []string{"app"}) || !slices.Equal(b.pg.cleaned, []string{"app"}) {
			t.Errorf("%d runners run, %v detached, %v cleaned", b.running(), b.target.detached, b.pg.cleaned)
		}
		b.want(in.ID, penstock.StatusActive)
	})
}
