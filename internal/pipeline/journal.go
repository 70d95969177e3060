package pipeline

import (
	"time"

	"penstock"
)

// diary writes down what a stream does. It belongs to status, whose lock guards
// it.
type diary struct {
	journal     penstock.Journal // nil to keep none
	label       func(penstock.Position) string
	integration penstock.IntegrationID
	source      string
	database    string

	open *penstock.Activity // a transaction of several parts, so far
}

func newDiary(cfg Config) diary {
	d := diary{journal: cfg.Journal, label: func(p penstock.Position) string { return string(p) },
		integration: cfg.Spec.Integration, database: cfg.Spec.Name}
	if l, ok := cfg.Source.(penstock.Labeler); ok {
		d.label = l.Label
	}
	if cfg.Source != nil {
		d.source = cfg.Source.Engine()
	}
	return d
}

// applied takes note of a batch that brought rows, or a part of one.
func (d *diary) applied(from penstock.Position, b *penstock.Batch, began time.Time) {
	if d.journal == nil || len(b.Tables) == 0 && d.open == nil {
		return
	}
	if d.open == nil {
		d.open = &penstock.Activity{Integration: d.integration, Source: d.source, Database: d.database, Kind: penstock.ActivityCDC, From: d.label(from), Began: began.UTC()}
	}
	a := d.open
	for i := range b.Tables {
		t := &b.Tables[i]
		a.Bytes += int64(t.Rows.Size())
		of := tableActivity(a, t.Table)
		of.Inserted += t.Inserted
		of.Updated += t.Updated
		of.Deleted += t.Deleted
		of.Bytes += int64(t.Rows.Size())
	}
	if !b.CommitTime.IsZero() {
		a.LastCommit = b.CommitTime
	}
	if b.Partial {
		return
	}
	a.To, a.Ended = d.label(b.Next), time.Now().UTC()
	d.open = nil
	d.journal.RecordActivity(*a)
}

func tableActivity(a *penstock.Activity, t *penstock.Table) *penstock.TableActivity {
	for i := range a.Tables {
		if a.Tables[i].Table == t.ID {
			return &a.Tables[i]
		}
	}
	a.Tables = append(a.Tables, penstock.TableActivity{Table: t.ID, Schema: t.Schema, Name: t.Name})
	return &a.Tables[len(a.Tables)-1]
}

// changed takes note of the states that tables have got since before, and of
// the bad values that have been found in them.
func (d *diary) changed(before, after []penstock.TableStatus, at penstock.Position) {
	if d.journal == nil {
		return
	}
	record := func(t *penstock.TableStatus, s penstock.TableState, reason string, when time.Time) {
		d.journal.RecordState(penstock.StateChange{Integration: d.integration, Database: d.database, Table: t.Table.ID, Schema: t.Table.Schema, Name: t.Table.Name,
			State: s, Reason: reason, Position: d.label(at), At: when.UTC()})
	}
	old := make(map[penstock.TableID]*penstock.TableStatus, len(before))
	for i := range before {
		old[before[i].Table.ID] = &before[i]
	}
	for i := range after {
		t := &after[i]
		was := old[t.Table.ID]
		delete(old, t.Table.ID)
		if was == nil || was.State != t.State || was.Reason != t.Reason {
			record(t, t.State, t.Reason, t.Changed)
		}
		d.badValues(was, t)
	}
	for _, t := range old {
		if t.State != penstock.TableDeleted {
			record(t, penstock.TableDeleted, "", time.Now())
		}
	}
}

// loaded takes note of a table that has been copied.
func (d *diary) loaded(t *penstock.Table, rows, bytes int64, began time.Time, at penstock.Position) {
	if d.journal == nil {
		return
	}
	d.journal.RecordActivity(penstock.Activity{Integration: d.integration, Source: d.source, Database: d.database, Kind: penstock.ActivitySnapshot,
		From: d.label(at), To: d.label(at), Bytes: bytes, Began: began.UTC(), Ended: time.Now().UTC(),
		Tables: []penstock.TableActivity{{Table: t.ID, Schema: t.Schema, Name: t.Name, Inserted: rows, Bytes: bytes}}})
}

func (d *diary) badValues(was, t *penstock.TableStatus) {
	for _, c := range t.Table.Columns {
		n := t.BadValues[c.ID]
		if was != nil && n >= was.BadValues[c.ID] { // they are counted anew with each load
			n -= was.BadValues[c.ID]
		}
		if n > 0 {
			d.journal.RecordBadValues(penstock.BadValuesFound{Integration: d.integration, Database: d.database, Table: t.Table.ID, Schema: t.Table.Schema, Name: t.Table.Name,
				Column: c.Name, SourceType: c.SourceType, Values: n, At: time.Now().UTC()})
		}
	}
}
