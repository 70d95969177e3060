package pipeline

import (
	"context"
	"slices"
	"strings"
	"time"

	"penstock"
)

// turn is what has to be done before the stream goes on, and what it carries.
type turn struct {
	load   []penstock.Table       // to be loaded into hidden versions
	rename []penstock.Alteration  // to be made in place
	drop   []penstock.TableID     // no longer at the source, or in the filter
	retire []penstock.TableID     // likewise, but their history stays
	states []penstock.TableStatus // to be recorded

	begun map[penstock.TableID]*penstock.PartialLoad // what there is of those to be loaded

	// later is set if there is more to do once the stream has got to where the
	// source was looked at: until then a table that is gone or has changed
	// there is, to readers, what it was (promise 1).
	later bool
	sight *sight // what was decided on

	tables []penstock.Table // to be streamed
	joins  map[penstock.TableID]penstock.Snapshot
	mend   map[penstock.TableID]penstock.Snapshot // of joins, those of tables that are being mended

	seen    time.Time                 // when the source was looked at
	history map[penstock.TableID]bool // of tables: in history mode
	fresh   map[penstock.TableID]bool // of tables: have never been readable, so that the default decides
}

// goOn returns the tables to be loaded of which there is something.
func (t *turn) goOn() []penstock.Table {
	return slices.DeleteFunc(slices.Clone(t.load), func(x penstock.Table) bool { return t.begun[x.ID] == nil })
}

// idle reports whether the stream can go on as it is. Loads can wait while
// another is going on.
func (t *turn) idle(loading bool) bool {
	return (loading || len(t.load) == 0) && len(t.drop) == 0 && len(t.retire) == 0 && len(t.rename) == 0 && len(t.states) == 0
}

// concerns reports whether something is to be done about one of the tables that
// a load beside the stream loads.
func (t *turn) concerns(b *beside) bool {
	for _, id := range slices.Concat(t.drop, t.retire) {
		if b.tables[id] != nil {
			return true
		}
	}
	return slices.ContainsFunc(t.load, func(x penstock.Table) bool { return b.tables[x.ID] != nil })
}

// sight is what was seen at the source.
type sight struct {
	tables   []penstock.Table
	findings []penstock.Finding
	at       penstock.Position // the stream has passed all that was seen once it is there
	number   int               // of the changes that the stream had told of before
	when     time.Time
}

// see looks at the source.
func (p *Pipeline) see(ctx context.Context) (s *sight, err error) {
	s = &sight{number: p.told.last()}
	if s.tables, s.findings, err = p.capture.Tables(ctx); err != nil {
		return nil, err
	}
	s.at, err = p.capture.Latest(ctx)
	s.when = time.Now().UTC().Truncate(time.Microsecond)
	p.status.setFindings(s.findings)
	return s, err
}

// compare decides what to do about what was seen at the source, given what the
// destination knows.
func (p *Pipeline) compare(ctx context.Context, s *sight) (*turn, error) {
	var state penstock.DestinationState
	// A target that is busy for long is when the source keeps ever more.
	err := p.writer.doMeanwhile(ctx, p.cfg.Poll, p.checkRetention, func(d penstock.Destination) (err error) {
		state, err = d.State(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.status.setTables(state.Tables)
	t := p.reconcile(state.Tables, s, p.capture.Covers(state.Applied, s.at))
	t.sight, t.seen = s, s.when
	return t, nil
}

// reconcile leaves tables alone that are being loaded just now as they are.
func (p *Pipeline) reconcile(known []penstock.TableStatus, s *sight, passed bool) *turn {
	failed := p.staysFailed(known)
	outdated := func(id penstock.TableID) bool { return p.told.since(s.number, id) }
	return reconcile(known, s.tables, s.findings, passed, outdated, func(t *penstock.Table) bool {
		return failed(t) || p.retry.heldBack(t.ID) || p.strays.heldBack(t.ID) || p.loading() && p.beside.has(t)
	})
}

// reconcile decides what to do with each table. It is a pure function of the
// destination's tables, the source's, and what the source found about them;
// passed is whether the stream has passed what was found, and outdated are
// tables that it has told more about since.
func reconcile(known []penstock.TableStatus, tables []penstock.Table, findings []penstock.Finding, passed bool, outdated func(penstock.TableID) bool, holdBack func(*penstock.Table) bool) *turn {
	t := &turn{begun: map[penstock.TableID]*penstock.PartialLoad{}, joins: map[penstock.TableID]penstock.Snapshot{}, mend: map[penstock.TableID]penstock.Snapshot{},
		history: map[penstock.TableID]bool{}, fresh: map[penstock.TableID]bool{}}
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
	present, named := make(map[penstock.TableID]bool, len(tables)), make(map[string]bool, len(tables))
	coming := map[string]bool{} // names of tables that nobody can read yet
	for _, table := range tables {
		present[table.ID], named[table.String()] = true, true
		st := byID[table.ID]
		if _, stays := blocked[table.String()]; !stays && (st == nil || !st.Readable) {
			coming[table.String()] = true
		}
		if outdated(table.ID) {
			if streams(st) {
				t.stream(st)
			}
			continue
		}
		if f, ok := blocked[table.String()]; ok && !(f.Code == penstock.ProblemUnseenChanges && refreshed(st)) {
			renamed := failedBefore(st) && (st.Table.Schema != table.Schema || st.Table.Name != table.Name)
			if renamed && !passed {
				t.later = true
				continue
			}
			// Only once, as it may not be possible.
			if t.fail(st, table, reason(f)) && renamed {
				named := st.Table
				named.Schema, named.Name = table.Schema, table.Name
				t.rename = append(t.rename, penstock.Alteration{Old: &st.Table, New: &named})
			}
			continue
		}
		switch decide(st, &table) {
		case keepStreaming:
			t.stream(st)
		case renameInPlace:
			if !passed {
				t.wait(st)
				continue
			}
			t.rename = append(t.rename, penstock.Alteration{Old: &st.Table, New: &table})
			renamed := *st
			renamed.Table = table
			t.stream(&renamed)
		case loadAgain:
			if !passed && streams(st) {
				t.wait(st)
				continue
			}
			if !holdBack(&table) {
				t.load = append(t.load, table)
				if st != nil && st.Partial != nil && len(st.Partial.Chunks) > 0 && sameAsLoaded(&st.Table, &table) && st.Table.Published == table.Published {
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
		if present[st.Table.ID] || st.State == penstock.TableDroppedSource {
			continue
		}
		// What is found about a name that another table has now is about that one.
		taken := named[st.Table.String()]
		if f, ok := blocked[st.Table.String()]; ok && !taken {
			t.fail(st, st.Table, reason(f))
			continue
		}
		if f, ok := delayed[st.Table.String()]; ok && !taken {
			// It is there, and not in the stream just now: what it has is kept
			// for readers, and what it misses takes a load (promise 6).
			if st.State != penstock.TableResyncRequired {
				t.states = append(t.states, penstock.TableStatus{Table: st.Table, State: penstock.TableResyncRequired, Reason: reason(f)})
			}
			continue
		}
		if (!passed || outdated(st.Table.ID)) && (st.Readable || streams(st)) {
			t.wait(st)
			continue
		}
		if st.Readable && !st.History && coming[st.Table.String()] {
			// Readers keep what they have until the other one is swapped in (promise 6).
			if st.State != penstock.TableResyncRequired || st.Reason != replacedByOther {
				t.states = append(t.states, penstock.TableStatus{Table: st.Table, State: penstock.TableResyncRequired, Reason: replacedByOther})
			}
			continue
		}
		if st.History {
			t.retire = append(t.retire, st.Table.ID)
		} else {
			t.drop = append(t.drop, st.Table.ID)
		}
	}
	return t
}

// wait leaves a table as it is for now.
func (t *turn) wait(st *penstock.TableStatus) {
	t.later = true
	if streams(st) {
		t.stream(st)
	}
}

// streams reports whether changes to a table that is known are applied.
func streams(st *penstock.TableStatus) bool {
	return st != nil && (st.State == penstock.TableSynced || st.State == penstock.TableResyncInitiated && st.Join != "")
}

func (t *turn) stream(st *penstock.TableStatus) {
	t.tables = append(t.tables, st.Table)
	t.history[st.Table.ID], t.fresh[st.Table.ID] = st.History, !st.History && !st.Readable
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

// fail marks a table that cannot be carried, unless it is marked already. It
// reports whether it was not.
func (t *turn) fail(st *penstock.TableStatus, table penstock.Table, reason string) bool {
	if st != nil && st.State == penstock.TableFailed && st.Reason == reason {
		return false
	}
	t.states = append(t.states, penstock.TableStatus{Table: table, State: penstock.TableFailed, Reason: reason})
	return true
}

// failedBefore reports whether a table is marked, and what it was can be read.
func failedBefore(st *penstock.TableStatus) bool {
	return st != nil && st.State == penstock.TableFailed && st.Readable
}

// shapeChanged is the reason of a table that is to be loaded again because its
// columns, its key or its name are not what they were.
const shapeChanged = "its shape changed at the source"

// replacedByOther is the reason of a table that is gone and stays readable.
const replacedByOther = "it was dropped at the source, and is kept until the newer table of its name has been loaded"

type decision uint8

const (
	keepStreaming decision = iota
	renameInPlace
	loadAgain
	leaveFailed
)

// decide says what to do with a table that the source has and can deliver.
func decide(st *penstock.TableStatus, table *penstock.Table) decision {
	switch {
	case st == nil:
		return loadAgain
	case st.State == penstock.TableFailed && strings.HasPrefix(st.Reason, unseenChanges) && table.Identity == penstock.IdentityNone && sameAsLoaded(&st.Table, table):
		return leaveFailed // what it needs is an identity
	case streams(st) && (onlyRenamed(&st.Table, table) || sameAsLoaded(&st.Table, table) && table.Stored.Supersedes(st.Table.Stored)):
		return renameInPlace
	case !sameAsLoaded(&st.Table, table):
		return loadAgain
	case streams(st):
		return keepStreaming // of any other that waited to be joined the stream has left out rows
	}
	return loadAgain
}

// onlyRenamed reports whether b is a under another name.
func onlyRenamed(a, b *penstock.Table) bool {
	renamed := *a
	renamed.Schema, renamed.Name = b.Schema, b.Name
	return !sameAsLoaded(a, b) && sameAsLoaded(&renamed, b)
}

// sameAsLoaded reports whether rows of the table, as b was found to be, fit what
// was loaded as a, under the name it has now, and what was loaded is what they
// were before. That a column may be null changes nothing.
func sameAsLoaded(a, b *penstock.Table) bool {
	return a.Stored.Keeps(b.Stored) && a.Schema == b.Schema && a.Name == b.Name && a.Parts == b.Parts && a.Identity == b.Identity && slices.Equal(a.Key, b.Key) &&
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
	for _, a := range t.rename {
		if a.Old.Schema == a.New.Schema && a.Old.Name == a.New.Name {
			continue // another definition of columns, by which they are what they were
		}
		p.log.Info("table renamed", "table", a.Old.String(), "now", a.New.String())
	}
	if len(t.drop) == 0 && len(t.retire) == 0 && len(t.rename) == 0 && len(t.states) == 0 {
		return nil
	}
	for _, id := range t.retire {
		p.log.Info("table kept with its history", "id", id)
	}
	at := p.writer.instant()
	if len(t.retire) > 0 && t.seen.After(at) {
		at = t.seen // they have ended by then, and what is still to come has committed later
	}
	err := p.apply(ctx, &penstock.Batch{Next: p.writer.position, At: at, Drop: t.drop, Retire: t.retire, Alter: t.rename, States: t.states})
	if penstock.KindOf(err) != penstock.KindStale || err == nil {
		return err
	}
	states := make([]penstock.TableStatus, len(t.rename))
	for i, a := range t.rename {
		states[i] = penstock.TableStatus{Table: *a.Old, State: penstock.TableResyncRequired, Reason: penstock.MessageOf(err)}
	}
	t.rename = nil
	t.states = append(t.states, states...)
	return p.carryOut(ctx, t)
}
