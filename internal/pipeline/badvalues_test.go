package pipeline_test

import (
	"strings"
	"testing"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/memsource"
)

// awaitRefused waits until a table has failed for a value, and checks what is said.
func (s *small) awaitRefused(t *testing.T, table, column string) {
	t.Helper()
	await(t, table+" to fail", func() bool { return s.state(table).State == penstock.TableFailed })
	if reason := s.state(table).Reason; !strings.HasPrefix(reason, "VALUES_NOT_REPRESENTABLE: table public."+table+": column "+column+" has values") || !strings.Contains(reason, "on_bad_value: nullify") {
		t.Errorf("the reason is %q", reason)
	}
}

// TestFailOnBadValue: where a value that cannot be held fails its table, the
// other tables go on, what could be read of it stays (promises 5 and 6), and
// it heals when the setting changes back.
func TestFailOnBadValue(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 20)
	s.config.BadValues = pipeline.FailBadValues
	s.create("born", penstock.IdentityKey)
	s.db.Do(func(tx *memsource.Tx) {
		tx.Insert("born", 1, 1, "good")
		tx.Insert("born", 2, memsource.Bad, "bad")
	})
	s.keep(t)
	s.settle(t, allKinds...)
	s.awaitRefused(t, "born", "n")
	if s.rows("born") != nil {
		t.Error("a table that never loaded is readable")
	}
	before := s.rows("keyed")
	s.db.Do(func(tx *memsource.Tx) {
		tx.Insert("keyed", 999, 1, "of the same transaction")
		tx.Insert("keyed", 1000, memsource.Bad, "b")
		tx.Insert("bare", 1000, 1, "b")
	})
	s.awaitRefused(t, "keyed", "n")
	s.settle(t, "whole", "bare")
	s.db.Do(func(tx *memsource.Tx) {
		tx.Delete("keyed", 1000)
		tx.Insert("whole", 1001, 1, "after it")
	})
	s.settle(t, "whole", "bare")
	if got := s.rows("keyed"); strings.Join(got, "\n") != strings.Join(before, "\n") {
		t.Errorf("what can be read of the failed table has changed: %d rows, before %d", len(got), len(before))
	}
	if n := s.state("keyed").BadValues.Total(); n != 0 {
		t.Errorf("%d values are counted as stored NULL", n)
	}

	// A load meets it too, and so does one beside the stream.
	s.create("late", penstock.IdentityKey)
	s.db.Do(func(tx *memsource.Tx) { tx.Insert("late", 1, memsource.Bad, "bad") })
	s.awaitRefused(t, "late", "n")

	// Asked for, it is loaded again, and succeeds as the value has gone.
	s.refresh(t, penstock.Refresh{Tables: []penstock.TableName{{Schema: "public", Name: "keyed"}}})
	s.settle(t, "keyed")
	await(t, "the table to be synced", func() bool { return s.state("keyed").State == penstock.TableSynced })

	s.stop()
	s.config.BadValues = pipeline.NullifyBadValues
	s.keep(t)
	s.settle(t, "keyed", "whole", "bare", "late", "born")
	await(t, "the values to be counted", func() bool { return s.state("late").BadValues.Total() == 1 && s.state("born").BadValues.Total() == 1 })
}
