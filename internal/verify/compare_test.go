package verify_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"penstock"
	"penstock/internal/verify"
)

// tester is a test or a property's.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compare compares the one table.
func compare(t tester, s *sides, r verify.Request) verify.Table {
	t.Helper()
	tables, err := verify.Compare(context.Background(), s, view{s}, r)
	if err != nil || len(tables) != 1 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	return tables[0]
}

func rowsOf(n int) (out []row) {
	for i := range n {
		out = append(out, row{int64(i), float64(i) / 3, fmt.Sprint("note ", i)})
	}
	return out
}

// names renders the differences.
func names(t verify.Table) string {
	var out []string
	for _, d := range t.Differences {
		var key []string
		for _, v := range d.Key {
			text := "NULL"
			if v.Text != nil {
				text = *v.Text
			}
			key = append(key, text)
		}
		out = append(out, strings.Join(append([]string{string(d.Kind), strings.Join(key, "/")}, d.Columns...), " "))
	}
	return strings.Join(out, "; ")
}

func TestCompare(t *testing.T) {
	t.Parallel()
	nan := math.Float64frombits(math.Float64bits(math.NaN()) ^ 1)
	for name, c := range map[string]struct {
		keyless bool
		change  func(s *sides)
		want    string // missing, extra, different
		names   string
		bad     int64
	}{
		"equal":       {change: func(*sides) {}, want: "0 0 0"},
		"other order": {change: func(s *sides) { slices.Reverse(s.warehouse) }, want: "0 0 0"},
		"empty":       {change: func(s *sides) { s.source, s.warehouse = nil, nil }, want: "0 0 0"},
		"a row is missing": {change: func(s *sides) { s.warehouse = s.warehouse[1:] }, want: "1 0 0",
			names: "missing 0"},
		"a row too many": {change: func(s *sides) { s.source = s.source[:99] }, want: "0 1 0",
			names: "extra 99"},
		"a row twice": {change: func(s *sides) { s.warehouse = append(s.warehouse, s.warehouse[7]) }, want: "0 1 0",
			names: "extra 7"},
		"another value": {change: func(s *sides) { s.warehouse[5] = row{int64(5), nil, "note 5"} }, want: "0 0 1",
			names: "different 5 x"},
		"values moved between columns": {change: func(s *sides) { s.source[5], s.warehouse[5] = row{int64(5), nil, ""}, row{int64(5), 0.0, nil} }, want: "0 0 1",
			names: "different 5 x note"},
		"rows swapped": {change: func(s *sides) {
			s.warehouse[3], s.warehouse[4] = row{int64(3), 4.0 / 3, "note 4"}, row{int64(4), 3.0 / 3, "note 3"}
		}, want: "0 0 2",
			names: "different 3 x note; different 4 x note"},
		"all of it": {change: func(s *sides) {
			s.warehouse = append(s.warehouse[10:], row{int64(1000), 0.0, ""})
			s.warehouse[0] = row{int64(10), nil, nil}
		}, want: "10 1 1",
			names: "missing 0; missing 1; missing 2; missing 3; missing 4; missing 5; missing 6; missing 7; missing 8; missing 9; different 10 x note; extra 1000"},
		"NaN and zeros": {change: func(s *sides) {
			s.source[0], s.warehouse[0] = row{int64(0), nan, ""}, row{int64(0), math.NaN(), ""}
			s.source[1], s.warehouse[1] = row{int64(1), math.Copysign(0, -1), ""}, row{int64(1), 0.0, ""}
		}, want: "0 0 0"},
		"bad values": {change: func(s *sides) {
			s.source[0], s.warehouse[0] = row{int64(0), 0.0, "bad"}, row{int64(0), 0.0, nil}
			s.source[1], s.warehouse[1] = row{int64(1), 0.0, "bad"}, row{int64(1), 1.0, nil}
		}, want: "0 0 1", names: "different 1 x", bad: 2},

		"keyless, equal": {keyless: true, change: func(s *sides) {
			s.source = append(s.source, s.source[:5]...)
			s.warehouse = append(slices.Clone(s.warehouse[:5]), s.warehouse...)
		}, want: "0 0 0"},
		"keyless, another value": {keyless: true, change: func(s *sides) { s.warehouse[5] = row{int64(5), nil, nil} }, want: "1 1 0",
			names: "missing 5/1.6666666666666667/note 5; extra 5/NULL/NULL"},
		"keyless, not often enough": {keyless: true, change: func(s *sides) {
			s.source = append(s.source, s.source[6], s.source[6], s.source[8])
			s.warehouse = append(s.warehouse, s.warehouse[6], s.warehouse[7])
		}, want: "2 1 0", names: "missing 6/2/note 6; extra 7/2.3333333333333335/note 7; missing 8/2.6666666666666665/note 8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSides(!c.keyless)
			s.source, s.warehouse = rowsOf(100), rowsOf(100)
			c.change(s)
			got := compare(t, s, verify.Request{})
			if counts := fmt.Sprint(got.Missing, got.Extra, got.Different); counts != c.want || got.AtLeast || got.Differs() != (c.want != "0 0 0") {
				t.Errorf("missing, extra, different: %s, want %s; %+v", counts, c.want, got)
			}
			if n := names(got); n != c.names {
				t.Errorf("named:\n%s\nwant\n%s", n, c.names)
			}
			if got.Rows != int64(len(s.source)) || got.WarehouseRows != int64(len(s.warehouse)) || got.BadValues != c.bad || got.NotCompared != "" {
				t.Errorf("got %+v", got)
			}
			if again := s.reads > 1; again != got.Differs() {
				t.Errorf("the warehouse was read %d times", s.reads)
			}
		})
	}
}

// TestNotCompared: tables that cannot be compared say why, and which those are.
func TestNotCompared(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*sides){
		"it is ResyncRequired: because": func(s *sides) { s.status.State, s.status.Reason = penstock.TableResyncRequired, "because" },
		"another shape":                 func(s *sides) { s.status.Table.Columns = s.status.Table.Columns[:2] },
		"was emptied":                   func(s *sides) { s.stale = true },
		"does not have it yet":          func(s *sides) { s.status.Table.ID, s.status.Table.Name = "2", "u" },
	} {
		s := newSides(true)
		s.source, s.warehouse = rowsOf(100), nil
		change(s)
		tables, err := verify.Compare(t.Context(), s, view{s}, verify.Request{Match: func(_, name string) bool { return name == "t" }})
		if err != nil || len(tables) != 1 || !strings.Contains(tables[0].NotCompared, want) || tables[0].Differs() {
			t.Errorf("%s: got %+v, %v", want, tables, err)
		}
	}
}

// TestManyDifferences: when not all differing rows can be held, what is said
// is true nevertheless.
// TestKeptIsNotCompared: a table that the source does not have any more, and that
// is kept with its history, is not something that differs.
func TestKeptIsNotCompared(t *testing.T) {
	t.Parallel()
	s := newSides(true)
	s.source, s.warehouse = rowsOf(100), nil
	s.status.Table.ID, s.status.Table.Name, s.status.State = "2", "u", penstock.TableDroppedSource
	tables, err := verify.Compare(t.Context(), s, view{s}, verify.Request{})
	if err != nil || len(tables) != 1 || tables[0].Name != "t" {
		t.Errorf("got %+v, %v", tables, err)
	}
}

func TestManyDifferences(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s := newSides(true)
	s.source, s.warehouse = rowsOf(n), rowsOf(n)
	for i := range s.warehouse {
		s.warehouse[i][2] = "wrong"
	}
	got := compare(t, s, verify.Request{Memory: 24 * 1000, Keys: 7})
	if !got.AtLeast || got.Different < 1000 || got.Different > n || got.Missing+got.Extra != 0 || len(got.Differences) != 7 {
		t.Errorf("got %+v", got)
	}
	s.warehouse = nil
	got = compare(t, s, verify.Request{Memory: 24 * 1000, Keys: 7})
	if got.AtLeast || got.Missing != n || got.Extra+got.Different != 0 || len(got.Differences) != 7 {
		t.Errorf("got %+v", got)
	}
	last := verify.Progress{}
	compare(t, s, verify.Request{Progress: func(p verify.Progress) {
		if p.Rows < last.Rows {
			t.Errorf("from %+v to %+v", last, p)
		}
		last = p
	}})
	if last.Rows != n || last.Bytes != last.TotalBytes || last.Tables != 1 || last.TablesDone != 1 || last.Table != "public.t" {
		t.Errorf("the last progress is %+v", last)
	}
}

// TestCounts holds the counts against those of a plain comparison.
func TestCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keyed := rapid.Bool().Draw(t, "keyed")
		s := newSides(keyed)
		side := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
			return row{rapid.Int64Range(0, 30).Draw(t, "id"), 1.0, rapid.SampledFrom([]any{nil, "", "a"}).Draw(t, "note")}
		}), 0, 60)
		s.source, s.warehouse = side.Draw(t, "source"), side.Draw(t, "warehouse")
		missing, extra, different := plainly(s, keyed)
		got := compare(t, s, verify.Request{Keys: 1000})
		if got.Missing != missing || got.Extra != extra || got.Different != different || got.AtLeast {
			t.Fatalf("got %+v, want %d missing, %d extra, %d different", got, missing, extra, different)
		}
		var named [3]int64
		for _, d := range got.Differences {
			named[slices.Index([]verify.DifferenceKind{verify.Missing, verify.Extra, verify.Different}, d.Kind)]++
		}
		if named != [3]int64{missing, extra, different} {
			t.Fatalf("named are %d, want %d missing, %d extra, %d different", named, missing, extra, different)
		}
	})
}

// plainly compares as a reader of the definition would.
func plainly(s *sides, keyed bool) (missing, extra, different int64) {
	count := map[string]int64{}
	left := map[any][2]int64{} // by key: of the source, of the warehouse
	for _, r := range s.source {
		count[fmt.Sprintf("%#v", r)]++
	}
	for _, r := range s.warehouse {
		count[fmt.Sprintf("%#v", r)]--
	}
	seen := map[string]bool{}
	for _, r := range append(slices.Clone(s.source), s.warehouse...) {
		text := fmt.Sprintf("%#v", r)
		if seen[text] {
			continue
		}
		seen[text] = true
		key := any(text)
		if keyed {
			key = r[0]
		}
		l := left[key]
		l[0] += max(count[text], 0)
		l[1] += max(-count[text], 0)
		left[key] = l
	}
	for _, l := range left {
		both := int64(0)
		if keyed {
			both = min(l[0], l[1])
		}
		missing, extra, different = missing+l[0]-both, extra+l[1]-both, different+both
	}
	return missing, extra, different
}
