package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"penstock"
	"penstock/internal/source/memsource"
)

// kept is a journal in memory.
type kept struct {
	mu         sync.Mutex
	activities []penstock.Activity
	states     []penstock.StateChange
	bad        []penstock.BadValuesFound
}

func (k *kept) RecordActivity(a penstock.Activity) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.activities = append(k.activities, a)
}

func (k *kept) RecordState(c penstock.StateChange) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.states = append(k.states, c)
}

func (k *kept) RecordBadValues(b penstock.BadValuesFound) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bad = append(k.bad, b)
}

// sums adds up what was done to a table, by kind.
func (k *kept) sums(table string) (out string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, kind := range []penstock.ActivityKind{penstock.ActivitySnapshot, penstock.ActivityCDC} {
		var inserted, updated, deleted int64
		for _, a := range k.activities {
			for _, t := range a.Tables {
				if a.Kind == kind && t.Name == table {
					inserted, updated, deleted = inserted+t.Inserted, updated+t.Updated, deleted+t.Deleted
				}
			}
		}
		out += fmt.Sprintf("%s +%d ~%d -%d ", kind, inserted, updated, deleted)
	}
	return strings.TrimSpace(out)
}

func (k *kept) statesOf(table string) (out []penstock.TableState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.states {
		if c.Name == table {
			out = append(out, c.State)
		}
	}
	return out
}

func TestJournal(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	k := &kept{}
	s.config.Journal = k
	s.config.Memory = 1 // so that a transaction takes several parts
	s.keep(t)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", s.allSynced)
	s.db.Do(func(tx *memsource.Tx) {
		for i := range 3 {
			tx.Insert("keyed", 100+i, 0, strings.Repeat("x", 300<<10))
		}
		tx.Update("keyed", 1, map[string]any{"n": 7})
		tx.Delete("keyed", 2)
	})
	s.settle(t, allKinds...)
	await(t, "the journal to have it all", func() bool { return k.sums("keyed") == "snapshot +10 ~0 -0 cdc +3 ~1 -1" })
	if got := k.sums("bare"); got != "snapshot +10 ~0 -0 cdc +0 ~0 -0" {
		t.Errorf("bare: %s", got)
	}
	k.mu.Lock()
	var cdc []penstock.Activity
	for _, a := range k.activities {
		if a.Kind == penstock.ActivityCDC {
			cdc = append(cdc, a)
		}
		if a.Database != "shop" || a.Integration != memIntegration || a.Source != s.source.Engine() || a.Ended.Before(a.Began) || a.To == "" {
			t.Errorf("activity %+v", a)
		}
	}
	k.mu.Unlock()
	if len(cdc) != 1 || cdc[0].Bytes < 900<<10 || cdc[0].From == cdc[0].To || cdc[0].LastCommit.IsZero() {
		t.Errorf("one transaction is these activities: %+v", cdc)
	}

	s.addColumn("keyed")
	s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 200, 0, "", nil) })
	await(t, "the table to be loaded again", func() bool {
		states := k.statesOf("keyed")
		return len(states) > 2 && states[len(states)-1] == penstock.TableSynced && slices.Contains(states[1:], penstock.TableResyncInitiated)
	})
	s.db.Drop("bare")
	await(t, "the drop to be noted", func() bool { return slices.Contains(k.statesOf("bare"), penstock.TableDeleted) })
}
