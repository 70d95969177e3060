package control

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
	"penstock/internal/store/memstore"
)

func TestCreatingBecomesActive(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in := b.create() // the runner runs without any time passing
		r := b.newest()
		if got := names(b.get(in.ID).Databases); got != "app=app" || r.db.Name != "app" {
			t.Errorf("the databases are %s", got)
		}
		// Tables may be loaded again before the first load is through: no syncing.
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableResyncInitiated, true), table("b", penstock.TableSynced, true))
		b.after(time.Minute)
		b.want(in.ID, penstock.StatusCreating)
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true), table("b", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.wantEvents("0000")

		views := b.sup.Snapshot()
		if len(views) != 1 || views[0].Target != "analytics" || views[0].Source != "shop" || len(views[0].Streams) != 1 ||
			views[0].Streams[0].State != penstock.StreamCdcRefresh || views[0].Integration.Status != penstock.StatusActive {
			t.Errorf("the snapshot is %+v", views)
		}
	})
}

func TestCreatingLimit(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in := b.create()
		b.newest().set(penstock.StreamSchemaDiscovery, table("a", penstock.TableResyncInitiated, false))
		b.after(25*time.Minute - time.Second)
		b.want(in.ID, penstock.StatusCreating)
		b.after(2 * time.Second)
		b.want(in.ID, penstock.StatusActive)
		if b.made() != 1 || b.running() != 1 {
			t.Errorf("%d runners were made, %d run", b.made(), b.running())
		}
	})
}

func TestFailedTableNeedsAttentionOnceTheOthersAreThrough(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in := b.create()
		r := b.newest()
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableFailed, false), table("b", penstock.TableResyncInitiated, false))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusCreating, penstock.ProblemTableFailed)
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableFailed, false), table("b", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemTableFailed)
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableResyncInitiated, false), table("b", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusSyncing)
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true), table("b", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.wantEvents("0007 0007 0003 0013")
	})
}

func TestReloadIsSyncing(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		// A table that joins is not a reload.
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true), table("b", penstock.TableResyncInitiated, false))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableResyncRequired, true), table("b", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusSyncing)
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true), table("b", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.wantEvents("0000 0003 0013")
	})
}

func TestWarningsAreKeptWithoutAttention(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		r.problems(
			penstock.Problem{Code: penstock.ProblemBadValues, Severity: penstock.SeverityWarning, Message: "1 GiB"},
			penstock.Problem{Code: penstock.ProblemUnsupportedTable, Severity: penstock.SeverityInfo, Message: "news"},
		)
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive, penstock.ProblemBadValues)
		r.problems(penstock.Problem{Code: penstock.ProblemBadValues, Severity: penstock.SeverityWarning, Message: "2 GiB"})
		b.after(time.Second)
		if m := b.get(in.ID).Problems[0].Message; m != "1 GiB" {
			t.Errorf("a new wording was written at once: %s", m)
		}
		b.after(rewording)
		if m := b.get(in.ID).Problems[0].Message; m != "2 GiB" {
			t.Errorf("a new wording was not written: %s", m)
		}
		r.problems()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.wantEvents("0000 0005")
	})
}

func TestWrongSettingNeedsAttentionAtOnceAndHeals(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.setRefuse(settingWrong())
		in := b.create()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemSourceSetting)
		if p := b.get(in.ID).Problems[0]; p.Database != "app" || p.Mend != "ALTER SYSTEM SET wal_level = logical" {
			t.Errorf("the problem is %+v", p)
		}
		if st := b.sup.Snapshot()[0].Streams[0].State; st != penstock.StreamError {
			t.Errorf("the stream is %s", st)
		}
		made := b.made()
		b.after(2 * time.Minute)
		if n := b.made() - made; n < 4 || n > 12 {
			t.Errorf("%d runners in two minutes, want one each 10 to 30 seconds", n)
		}
		b.setRefuse(nil)
		b.after(31 * time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemSourceSetting) // not known to be mended
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableResyncInitiated, false))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusSyncing)
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.wantEvents("1000 0003 0013")
	})
}

func TestUnreachableIsToleratedForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		b.setRefuse(unreachable())
		r.fail <- unreachable()
		b.after(notice - time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.after(patience - notice)
		b.want(in.ID, penstock.StatusActive, penstock.ProblemSourceUnreachable)
		if p := b.get(in.ID).Problems[0]; p.Severity != penstock.SeverityWarning {
			t.Errorf("the problem is of severity %s", p.Severity)
		}
		if n := b.made(); n < 6 || n > 30 {
			t.Errorf("%d runners were made", n)
		}
		b.after(2 * time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemSourceUnreachable)
		if p := b.get(in.ID).Problems[0]; time.Since(p.Since) < patience {
			t.Errorf("the problem is since %v", p.Since)
		}
		b.setRefuse(nil)
		b.after(30 * time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemSourceUnreachable)
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)

		// A short interruption leaves no trace.
		b.after(time.Minute)
		b.newest().fail <- unreachable()
		b.after(time.Second)
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(time.Hour)
		b.want(in.ID, penstock.StatusActive)
		// Mentioned first, then the cause of the status.
		b.wantEvents("0000 P0001 P0001 0013")
	})
}

func TestInternalErrorIsReportedAndRetried(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		r.fail <- errors.New("boom")
		b.after(time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemInternal)
		// It may come again in the middle of the work, so it counts as mended
		// only after a while.
		b.newest().set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(proven - 2*time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemInternal)
		b.after(3 * time.Second)
		b.want(in.ID, penstock.StatusActive)
	})
}

func TestFencedRunnerIsStartedAnew(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		r.fail <- penstock.Errorf(penstock.KindFenced, "position changed")
		b.after(time.Second)
		if b.made() != 2 || b.running() != 1 {
			t.Errorf("%d runners were made, %d run", b.made(), b.running())
		}
		b.want(in.ID, penstock.StatusActive)
	})
}

func TestLostPositionFails(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		r.fail <- penstock.Errorf(penstock.KindPositionLost, "the slot is gone")
		b.after(time.Second)
		b.want(in.ID, penstock.StatusFailed, penstock.ProblemPositionLost)
		b.after(time.Hour)
		if b.made() != 1 {
			t.Errorf("%d runners were made", b.made())
		}
		_, err := b.svc.Modify(t.Context(), ModifyRequest{Identifier: "one", Name: new("two")})
		wantKind(t, err, penstock.KindInvalidState, "because it is not in a valid state. Wait until the integration is in a valid state and try again.")
		if _, err := b.svc.Delete(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.gone(in.ID)
	})
}

func TestFilterChangeRestartsTheStreams(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, old := b.active()
		text := "include: app.*.*, include: crm.*.*"
		in, err := b.svc.Modify(t.Context(), ModifyRequest{Identifier: in.ARN, DataFilter: &text})
		if err != nil || in.Status != penstock.StatusModifying || in.DataFilter != text {
			t.Fatalf("Modify: %+v, %v", in, err)
		}
		_, err = b.svc.Delete(t.Context(), "one")
		wantKind(t, err, penstock.KindInvalidState, "because it is not in a valid state.")
		synctest.Wait()
		if b.made() != 3 || b.running() != 2 || b.newest().in.DataFilter != text || old.running {
			t.Fatalf("%d runners were made, %d run", b.made(), b.running())
		}
		if got := names(b.get(in.ID).Databases); got != "app=app crm=crm" {
			t.Errorf("the databases are %s", got)
		}
		b.runners[1].set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusModifying)
		b.runners[2].set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)

		// A database that is named no more keeps its stream, which empties it,
		// unless it is not there. The other streams are left alone.
		text = "include: crm.*.*"
		if _, err = b.svc.Modify(t.Context(), ModifyRequest{Identifier: in.ARN, DataFilter: &text}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b.running() != 2 {
			t.Errorf("%d runners run", b.running())
		}
		var crm *fakeRunner
		for _, r := range b.runners[3:5] {
			if r.db.SourceDatabase == "app" {
				r.fail <- settingWrong()
			} else {
				crm = r
			}
		}
		b.after(time.Second)
		if got := names(b.get(in.ID).Databases); got != "crm=crm" || b.running() != 1 || len(b.target.detached) != 1 || len(b.pg.cleaned) != 1 {
			t.Errorf("the databases are %s, %d runners run, %v detached, %v cleaned", got, b.running(), b.target.detached, b.pg.cleaned)
		}
		crm.set(penstock.StreamCdcRefresh)
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.wantEvents("0000 0016 0017 0016 0017")
	})
}

func TestMissingConfigurationFailsAndHeals(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		restart := func(source bool) {
			b.stop()
			cfg := b.cfg
			if !source {
				b.cfg.Sources = map[string]SourceEntry{"other": b.cfg.Sources["old"]}
			}
			b.make()
			b.start()
			b.after(time.Second)
			b.cfg = cfg
		}
		restart(false)
		b.want(in.ID, penstock.StatusFailed, penstock.ProblemSourceGone)
		restart(true)
		b.want(in.ID, penstock.StatusSyncing)
		b.newest().set(penstock.StreamCdcRefresh)
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)

		restart(false)
		if _, err := b.svc.Delete(t.Context(), in.Name); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.gone(in.ID)
		orphans, err := b.cfg.Store.Orphans(t.Context())
		if err != nil || len(orphans) != 1 || orphans[0].Source != "shop" {
			t.Fatalf("the orphans are %+v, %v", orphans, err)
		}
		restart(true)
		if orphans, err = b.cfg.Store.Orphans(t.Context()); err != nil || len(orphans) != 0 {
			t.Errorf("the orphans are %+v, %v", orphans, err)
		}
		b.wantEvents("0000 P0002 0003 0013 P0002 0002 0001 P0003 P0004")
	})
}

func TestUnusableFilterAndTarget(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.target.listErr = errors.New("disk on fire")
		in := b.create()
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemTargetFailed)
		b.target.mu.Lock()
		b.target.listErr = nil
		b.target.mu.Unlock()
		b.after(11 * time.Second)
		b.newest().set(penstock.StreamCdcRefresh)
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.pg.parts = 2 // another engine behind the same name
		b.stop()
		b.make()
		b.start()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemFilterUnparsable)
	})
}

func TestRestartKeepsNeedsAttentionUntilKnownBetter(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		r.fail <- settingWrong()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemSourceSetting)
		b.stop()
		if b.running() != 0 {
			t.Errorf("%d runners run", b.running())
		}
		b.make()
		b.start()
		b.after(time.Hour)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemSourceSetting)
		b.newest().set(penstock.StreamCdcRefresh)
		b.after(time.Second)
		b.want(in.ID, penstock.StatusActive)
		b.wantEvents("0000 1000 0013")
	})
}

func TestRunnerFactoryError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.cfg.Runners = func(penstock.Integration, penstock.DestinationDatabase) (Runner, error) {
			return nil, penstock.Errorf(penstock.KindConflict, "database belongs to another")
		}
		b.make()
		b.start()
		defer b.stop()
		in := b.create()
		b.after(time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemTargetFailed)
	})
}

func TestSupervisorSurvivesAStoreThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		store := &brittleStore{Store: memstore.New()}
		b.cfg.Store = store
		b.make()
		b.start()
		defer b.stop()
		in, r := b.active()
		store.broken.Store(true)
		r.set(penstock.StreamCdcRefresh, table("a", penstock.TableFailed, false))
		b.after(time.Minute)
		store.broken.Store(false)
		b.after(31 * time.Second)
		b.want(in.ID, penstock.StatusNeedsAttention, penstock.ProblemTableFailed)
		if b.made() != 1 || b.running() != 1 {
			t.Errorf("%d runners were made, %d run", b.made(), b.running())
		}
	})
}

func TestOldEventsArePruned(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		synctest.Wait()
		for _, age := range []time.Duration{remembered - time.Minute, remembered - 24*time.Hour} {
			if err := b.cfg.Store.AddEvent(t.Context(), penstock.Event{At: time.Now().Add(-age), Kind: EventSyncing}); err != nil {
				t.Fatal(err)
			}
		}
		b.wantEvents("0003 0003")
		b.after(2 * time.Hour)
		b.wantEvents("0003")
	})
}
