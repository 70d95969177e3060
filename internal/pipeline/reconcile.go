package pipeline

import (
	"context"
	"slices"
	"strings"

	"penstock"
)

// turn is what has to be done before the stream goes on, and what it carries.
type turn struct {
	load   []penstock.Table       // to be loaded into hidden versions
	drop   []penstock.TableID     // no longer at the source, or in the filter
	states []penstock.TableStatus // to be recorded

	begun map[penstock.TableID]*penstock.PartialLoad // what there is of those to be loaded

	tables []penstock.Table // to be streamed
	joins  map[penstock.TableID]penstock.Snapshot
	mend   map[penstock.TableID]penstock.Snapshot // of joins, those of tables that are being mended
}

// goOn returns the tables to be loaded of which there is something.
func (t *turn) goOn() []penstock.Table {
	return slices.DeleteFunc(slices.Clone(t.load), func(x penstock.Table) bool { return t.begun[x.ID] == nil })
}

// idle reports whether the stream can go on as it is. Loads can wait while
// another is going on.
func (t *turn) idle(loading bool) bool {
	return (loading || len(t.load) == 0) && len(t.drop) == 0 && len(t.states) == 0
}

// concerns reports whether something is to be done about one of the tables.
func (t *turn) concerns(tables []penstock.Table) bool {
	for i := range tables {
		id := tables[i].ID
		if slices.Contains(t.drop, id) || slices.ContainsFunc(t.load, func(x penstock.Table) bool { return x.ID == id }) {
			return true
		}
	}
	return false
}

// look compares what the source has with what the destination knows.
func (p *Pipeline) look(ctx context.Context) (*turn, error) {
	tables, findings, err := p.capture.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var state penstock.DestinationState
	// A target that is busy for long is when the source keeps ever more.
	err = p.writer.doMeanwhile(ctx, p.cfg.Poll, p.checkRetention, func(d penstock.Destination) error {
		state, err = d.State(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.status.setTables(state.Tables)
	p.status.setFindings(findings)
	return p.reconcile(state.Tables, tables, findings), nil
}

// reconcile leaves tables alone that are being loaded just now as they are.
func (p *Pipeline) reconcile(known []penstock.TableStatus, tables []penstock.Table, findings []penstock.Finding) *turn {
	failed := p.staysFailed(known)
	return reconcile(known, tables, findings, func(t *penstock.Table) bool {
		return failed(t) || p.retry.heldBack(t.ID) || p.loading() && p.beside.has(t)
	})
}

// reconcile decides what to do with each table. It is a pure function of the
// destination's tables, the source's, and what the source found about them.
func reconcile(known []penstock.TableStatus, tables []penstock.Table, findings []penstock.Finding, holdBack func(*penstock.Table) bool) *turn {
	t := &turn{begun: map[penstock.TableID]*penstock.PartialLoad{}, joins: map[penstock.TableID]penstock.Snapshot{}, mend: map[penstock.TableID]penstock.Snapshot{}}
	byID := make(map[penstock.TableID]*penstock.TableStatus, len(known))
	for i := range known {
		byID[known[i].Table.ID] = &known[i]
	}
	blocked, delayed := map[string]penstock.Finding{}, map[string]penstock.Finding{} // by table
	for _, f := range findings {
		switch {
		case f.Table == "":
		case f.Severity == penstock.SeverityAttention:
			blocked[f.Table] = f
		case f.Severity == penstock.SeverityWarning:
			delayed[f.Table] = f
		}
	}
	present := make(map[penstock.TableID]bool, len(tables))
	for _, table := range tables {
		present[table.ID] = true
		st := byID[table.ID]
		if f, ok := blocked[table.String()]; ok && !(f.Code == penstock.ProblemUnseenChanges && refreshed(st)) {
			t.fail(st, table, reason(f))
			continue
		}
		switch decide(st, &table) {
		case keepStreaming:
			t.stream(st)
		case loadAgain:
			if !holdBack(&table) {
				t.load = append(t.load, table)
				if st != nil && st.Partial != nil && len(st.Partial.Chunks) > 0 && sameAsLoaded(&st.Table, &table) {
					t.begun[table.ID] = st.Partial
				}
				if st != nil && st.State == penstock.TableSynced {
					t.states = append(t.states, penstock.TableStatus{Table: st.Table, State: penstock.TableResyncRequired, Reason: shapeChanged})
				}
			}
		}
	}
	for i := range known {
		st := &known[i]
		if present[st.Table.ID] {
			continue
		}
		if f, ok := blocked[st.Table.String()]; ok {
			t.fail(st, st.Table, reason(f))
			continue
		}
		if f, ok := delayed[st.Table.String()]; ok {
			// It is there, and not in the stream just now: what it has is kept
			// for readers, and what it misses takes a load (promise 6).
			if st.State != penstock.TableResyncRequired {
				t.states = append(t.states, penstock.TableStatus{Table: st.Table, State: penstock.TableResyncRequired, Reason: reason(f)})
			}
			continue
		}
		t.drop = append(t.drop, st.Table.ID)
	}
	return t
}

func (t *turn) stream(st *penstock.TableStatus) {
	t.tables = append(t.tables, st.Table)
	if st.Join != "" {
		t.joins[st.Table.ID] = st.Join
	}
	if st.Mending {
		t.mend[st.Table.ID] = st.Join
	}
}

// reason is what a table's reason says: the sentence and what to do.
func reason(f penstock.Finding) string {
	text := string(f.Code) + ": " + f.Message
	if f.Mend != "" {
		text += "; to mend it: " + f.Mend
	}
	return text
}

// unseenChanges begins the reason of a table whose copy is wrong for good, also
// when the source no longer finds anything.
const unseenChanges = string(penstock.ProblemUnseenChanges) + ": "

// refreshed reports whether a table is to be loaded again because somebody asked
// for it, which makes good what has been missed until then.
func refreshed(st *penstock.TableStatus) bool {
	return st != nil && st.State == penstock.TableResyncRequired && st.Reason == refreshAsked
}

// fail marks a table that cannot be carried, unless it is marked already.
func (t *turn) fail(st *penstock.TableStatus, table penstock.Table, reason string) {
	if st == nil || st.State != penstock.TableFailed || st.Reason != reason {
		t.states = append(t.states, penstock.TableStatus{Table: table, State: penstock.TableFailed, Reason: reason})
	}
}

// shapeChanged is the reason of a table that is to be loaded again because its
// columns, its key or its name are not what they were.
const shapeChanged = "its shape changed at the source"

type decision uint8

const (
	keepStreaming decision = iota
	loadAgain
	leaveFailed
)

// decide says what to do with a table that the source has and can deliver.
func decide(st *penstock.TableStatus, table *penstock.Table) decision {
	switch {
	case st == nil:
		return loadAgain
	case st.State == penstock.TableFailed && strings.HasPrefix(st.Reason, unseenChanges) && sameAsLoaded(&st.Table, table):
		return leaveFailed // what it needs is an identity
	case !sameAsLoaded(&st.Table, table):
		return loadAgain
	case st.State == penstock.TableSynced, st.State == penstock.TableResyncInitiated && st.Join != "":
		return keepStreaming // of any other that waited to be joined the stream has left out rows
	}
	return loadAgain
}

// sameAsLoaded reports whether rows of the table fit what was loaded, under
// the name it has now. That a column may be null changes nothing.
func sameAsLoaded(a, b *penstock.Table) bool {
	return a.Schema == b.Schema && a.Name == b.Name && a.Parts == b.Parts && a.Identity == b.Identity && slices.Equal(a.Key, b.Key) &&
		slices.EqualFunc(a.Columns, b.Columns, func(x, y penstock.Column) bool {
			x.NotNull, y.NotNull = false, false
			return x == y
		})
}

// carryOut records what a turn has decided about tables that are not loaded.
func (p *Pipeline) carryOut(ctx context.Context, t *turn) error {
	for _, s := range t.states {
		p.log.Info("table state", "table", s.Table.String(), "state", s.State, "reason", s.Reason)
	}
	if len(t.drop) == 0 && len(t.states) == 0 {
		return nil
	}
	return p.apply(ctx, &penstock.Batch{Next: p.writer.position, Drop: t.drop, States: t.states})
}
