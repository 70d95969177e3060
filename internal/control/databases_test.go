package control

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
)

func TestDatabaseNames(t *testing.T) {
	t.Parallel()
	const source = "arn:aws:rds:us-east-1:123456789012:cluster:shop"
	in := penstock.Integration{ID: "01234567-89ab", SourceARN: source}
	spec := func(name string, id penstock.IntegrationID, arn, db string) penstock.DatabaseSpec {
		return penstock.DatabaseSpec{Name: name, Integration: id, SourceARN: arn, SourceDatabase: db}
	}
	tests := []struct {
		name     string
		existing []penstock.DatabaseSpec
		taken    string
		base     string
		want     string
	}{
		{"free", nil, "", "app", "app"},
		{"reserved", nil, "", "dev", "dev_01234567"},
		{"reserved, other case", nil, "", "Main", "Main_01234567"},
		{"taken by an integration", nil, "app", "app", "app_01234567"},
		{"taken, other case", nil, "app", "APP", "APP_01234567"},
		{"of an unrelated database", []penstock.DatabaseSpec{spec("app", "", "", "")}, "", "app", "app_01234567"},
		{"of another source", []penstock.DatabaseSpec{spec("app", "", "arn:other", "app")}, "", "app", "app_01234567"},
		{"of another source database", []penstock.DatabaseSpec{spec("app", "", source, "other")}, "", "app", "app_01234567"},
		{"of another integration", []penstock.DatabaseSpec{spec("app", "fedcba98", source, "app")}, "", "app", "app_01234567"},
		{"left behind", []penstock.DatabaseSpec{spec("app", "", source, "app")}, "", "app", "app"},
		{"left behind and adopted already", []penstock.DatabaseSpec{spec("app", "", source, "app")}, "app", "app", "app_01234567"},
		{"left behind under another name", []penstock.DatabaseSpec{spec("app", "", "", ""), spec("app_fedcba98", "", source, "app")}, "", "app", "app_fedcba98"},
		{"left behind twice", []penstock.DatabaseSpec{spec("a", "", source, "app"), spec("app", "", source, "app")}, "", "app", "app"},
		{"its own", []penstock.DatabaseSpec{spec("app", in.ID, source, "app")}, "", "app", "app"},
		{"all taken", []penstock.DatabaseSpec{spec("app_01234567", "", "", "")}, "app", "app", "app_01234567_2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := databaseNames{in: in, existing: test.existing, taken: map[string]bool{test.taken: true}}
			if got := n.choose(test.base, test.base); got != test.want {
				t.Errorf("the name is %s; want %s", got, test.want)
			}
			if !n.taken[fold(test.want)] {
				t.Error("the name is not taken")
			}
		})
	}
}

func TestOneStreamForTheWholeServer(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		r := b.request("one")
		r.SourceARN, r.DataFilter = b.cfg.SourceARN("db", "old"), ""
		in, err := b.svc.Create(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := names(b.get(in.ID).Databases); got != "=old" || b.newest().db.Name != "old" {
			t.Errorf("the databases are %s", got)
		}
	})
}

func TestDelete(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, r := b.active()
		if _, err := b.svc.Delete(t.Context(), in.ARN); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.gone(in.ID)
		if r.running || len(b.pg.forgotten) != 1 || len(b.target.detached) != 1 || b.target.detached[0] != "app" || len(b.sup.Snapshot()) != 0 {
			t.Errorf("runs: %v, forgotten: %v, detached: %v, shown: %v", r.running, b.pg.forgotten, b.target.detached, b.sup.Snapshot())
		}
		_, err := b.svc.Delete(t.Context(), in.ARN)
		wantKind(t, err, penstock.KindIntegrationNotFound, "does not exist")
		b.wantEvents("0000 0002 0001")
		if _, err := b.svc.Create(t.Context(), b.request("one")); err != nil {
			t.Errorf("creating it again: %v", err)
		}
	})
}

func TestDeleteOfAnUnreachableSourceLeavesAnOrphan(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		b.pg.setForget(unreachable())
		if _, err := b.svc.Delete(t.Context(), in.ARN); err != nil {
			t.Fatal(err)
		}
		b.after(59 * time.Second)
		b.want(in.ID, penstock.StatusDeleting)
		b.after(2 * time.Second)
		b.gone(in.ID)
		orphans, err := b.cfg.Store.Orphans(t.Context())
		if err != nil || len(orphans) != 1 || orphans[0].Source != "shop" || orphans[0].Name != "one" || orphans[0].LastError == "" {
			t.Fatalf("the orphans are %+v, %v", orphans, err)
		}
		b.wantEvents("0000 0002 0001 P0003")
		b.after(time.Hour)
		if orphans, err = b.cfg.Store.Orphans(t.Context()); err != nil || time.Since(orphans[0].LastTry) > time.Minute {
			t.Errorf("the orphans are %+v, %v", orphans, err)
		}
		// It is not forgotten over a restart.
		b.stop()
		b.make()
		b.pg.setForget(nil)
		b.start()
		b.after(time.Second)
		if orphans, err = b.cfg.Store.Orphans(t.Context()); err != nil || len(orphans) != 0 {
			t.Errorf("the orphans are %+v, %v", orphans, err)
		}
		b.wantEvents("0000 0002 0001 P0003 P0004")
	})
}

// hangingSource does not answer until it is no use any more.
type hangingSource struct{ fakeSource }

func (s *hangingSource) Forget(ctx context.Context, _ penstock.IntegrationID) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestDeleteIsNotHeldUpByASourceThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		b.stop()
		b.cfg.Sources["shop"] = SourceEntry{Kind: "cluster", Source: &hangingSource{fakeSource{parts: 3}}}
		b.make()
		b.start()
		if _, err := b.svc.Delete(t.Context(), in.ARN); err != nil {
			t.Fatal(err)
		}
		b.after(70 * time.Second)
		b.gone(in.ID)
	})
}

func TestDeleteContinuesAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		in, _ := b.active()
		b.pg.setForget(errors.New("no"))
		if _, err := b.svc.Delete(t.Context(), in.ARN); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.stop()
		b.want(in.ID, penstock.StatusDeleting)
		b.after(time.Hour) // the grace is long over, but one more attempt is due
		b.pg.setForget(nil)
		b.make()
		b.start()
		b.after(time.Second)
		b.gone(in.ID)
		b.wantEvents("0000 0002 0001")
	})
}
