package sourcetest

import (
	"errors"
	"slices"
	"sync"

	"penstock"
)

// identities are tables of each kind, by name.
var identities = map[string]penstock.Identity{"keyed": penstock.IdentityKey, "whole": penstock.IdentityFull, "bare": penstock.IdentityNone}

// kinds are their names.
var kinds = []string{"keyed", "whole", "bare"}

// createKinds makes a table of each kind with rows.
func (e *env) createKinds(rows int64) {
	e.Helper()
	for _, name := range kinds {
		e.s.Create(e.T, name, identities[name])
		e.insert(name, 1, rows)
	}
}

// changeKinds changes each table, using ids from first on for new rows; rows
// first and first+1 are left there.
func changeKinds(tx Tx, first, update, remove int64) {
	for _, name := range kinds {
		tx.Insert(name, rows(first, first+2)...)
		if name == "bare" {
			continue
		}
		tx.Update(name, first, map[string]any{"n": 100})
		tx.Delete(name, first+2)
		tx.Update(name, update, map[string]any{"n": 200 + first})
		tx.Delete(name, remove)
	}
}

// testJoin: what a load shows is not streamed, and what it does not show is,
// whatever kind of table, before and after the stream's position.
func testJoin(e *env) {
	e.createKinds(250)
	r := e.reader()
	e.do(func(tx Tx) { changeKinds(tx, 1000, 1, 2) }) // after the position, before the snapshot
	l := r.load(kinds...)
	e.do(func(tx Tx) { changeKinds(tx, 1010, 1, 3) }) // after the snapshot, before reading
	chunks := l.Chunks()
	half := len(chunks) / 2
	r.read(l, chunks[:half]...)
	e.do(func(tx Tx) { changeKinds(tx, 1020, 4, 5) }) // amid reading
	r.read(l, chunks[half:]...)
	e.ok(l.Close())
	e.do(func(tx Tx) { changeKinds(tx, 1030, 4, 6) })
	r.open()
	e.do(func(tx Tx) { changeKinds(tx, 1040, 1010, 1011) })
	r.catchUp()
	if len(r.joins) > 0 {
		e.Fatalf("%d tables still wait for the stream to pass", len(r.joins))
	}
	r.reopen()
	e.do(func(tx Tx) { changeKinds(tx, 1050, 7, 8) })
	r.catchUp()
}

// testJoinOpenTransactions has transactions that are open when the snapshot is
// taken: numbered before, committed after it, in another order.
func testJoinOpenTransactions(e *env) {
	e.createKinds(50)
	e.s.Create(e.T, "elsewhere", penstock.IdentityKey)
	r := e.reader()
	var open []Tx
	for i := range int64(4) {
		tx := e.s.Begin(e.T)
		tx.Insert("elsewhere", Row{ID: i}) // so that it has a number
		open = append(open, tx)
	}
	e.do(func(tx Tx) { changeKinds(tx, 1000, 1, 2) })
	changeKinds(open[0], 1010, 3, 4)
	open[0].Commit()
	l := r.load(kinds...)
	e.do(func(tx Tx) { changeKinds(tx, 1020, 5, 6) })
	changeKinds(open[1], 1030, 7, 8)
	open[1].Commit()
	changeKinds(open[2], 1040, 9, 10)
	changeKinds(open[3], 1050, 11, 12)
	open[3].Rollback()
	r.read(l, l.Chunks()...)
	e.ok(l.Close())
	r.open()
	r.catchUp()
	open[2].Commit()
	r.catchUp()
}

// testJoinAcrossReopen closes the stream while tables still join it: their
// snapshots are good after a restart.
func testJoinAcrossReopen(e *env) {
	e.createKinds(20)
	r := e.reader()
	start := r.position
	e.do(func(tx Tx) { changeKinds(tx, 1000, 1, 2) })
	l := r.load(kinds...)
	e.do(func(tx Tx) { changeKinds(tx, 1010, 3, 4) })
	r.read(l, l.Chunks()...)
	e.ok(l.Close())
	loaded, joins := map[string][]Row{}, map[penstock.TableID]penstock.Snapshot{}
	for _, name := range kinds {
		loaded[name] = slices.Clone(r.tables[name].rows)
		joins[r.tables[name].shape.ID] = l.Snapshot()
	}
	r.open()
	r.catchUp()
	// What was not acknowledged may be read again.
	for _, name := range kinds {
		r.tables[name].rows = loaded[name]
	}
	r.tables[marks].rows, r.position, r.joins = nil, start, joins
	r.reopen()
	r.catchUp()
}

// testJoinPassedBefore: a table whose snapshot lies before the position is
// reported at once, and not in the middle of a transaction.
func testJoinPassedBefore(e *env) {
	e.createKinds(20)
	r := e.reader()
	r.loadAll(kinds...)
	joins := map[penstock.TableID]penstock.Snapshot{}
	for id, s := range r.joins {
		joins[id] = s
	}
	r.open()
	r.catchUp()
	r.joins = joins
	e.do(func(tx Tx) { tx.Insert("keyed", rows(1000, 1999)...) })
	e.ok(r.stream.Close())
	r.open()
	passed := 0
	for passed < len(kinds) {
		c := r.next(1 << 10)
		if c.Open || c.Transactions > 0 && passed == 0 && len(c.Passed) == 0 {
			e.Fatal("rows come before the tables that have passed already")
		}
		passed += len(c.Passed)
	}
	r.catchUp()
}

// testJoinAWriter adds a table to the stream while others write to it all the
// time, and does so again after a restart.
func testJoinAWriter(e *env) {
	e.createKinds(100)
	r := e.reader()
	r.open()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range int64(2) {
		wg.Go(func() {
			last := int64(-1) // its rows are there to be changed
			for i := int64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				tx := e.s.Begin(e.T)
				first := 10_000*(w+1) + 5*i
				for _, name := range kinds {
					tx.Insert(name, rows(first, first+1)...)
					if last > 0 && name != "bare" {
						tx.Update(name, last, map[string]any{"n": i})
						tx.Delete(name, last+1)
					}
				}
				if i%4 == 3 {
					tx.Rollback()
					continue
				}
				tx.Commit()
				last = first
			}
		})
	}
	for _, name := range kinds {
		r.toMark(e.mark())
		e.ok(r.stream.Close())
		r.loadAll(name)
		r.open()
		r.next(1 << 20)
	}
	close(stop)
	wg.Wait()
	r.catchUp()
}

// testJoinTruncate: a truncate that the snapshot shows empties nothing.
func testJoinTruncate(e *env) {
	e.createKinds(20)
	r := e.reader()
	e.do(func(tx Tx) {
		for _, name := range kinds {
			tx.Truncate(name)
			tx.Insert(name, rows(100, 110)...)
		}
	})
	r.loadAll(kinds...)
	r.open()
	r.catchUp()
	for _, name := range kinds {
		r.wantOps(name)
	}
	e.do(func(tx Tx) {
		for _, name := range kinds {
			tx.Truncate(name)
			tx.Insert(name, rows(200, 205)...)
		}
	})
	r.catchUp()
}

// testLoadSeveral reads the chunks of a load with several goroutines.
func testLoadSeveral(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.s.Create(e.T, "u", penstock.IdentityFull)
	e.insert("t", 1, 1000)
	e.insert("u", 1, 300)
	r := e.reader()
	l := r.load("t", "u")
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, c := range l.Chunks() {
		wg.Go(func() {
			buffer := penstock.NewRows(c.Table)
			err := l.Read(e.ctx, c, buffer, 8<<10, func(penstock.BadValues) error {
				mu.Lock()
				defer mu.Unlock()
				t := r.tables[c.Table.Name]
				for i := range buffer.Len() {
					t.rows = append(t.rows, rowOf(buffer, i))
				}
				return nil
			})
			if err != nil {
				e.Error(err)
			}
			if buffer.Len() > 0 {
				e.Errorf("%d rows are left after the end", buffer.Len())
			}
		})
	}
	wg.Wait()
	e.ok(l.Close())
	r.compare("t")
	r.compare("u")
	r.open()
	r.catchUp()
}

func testLoadEmpty(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	l := r.load("t")
	if n := len(l.Chunks()); n == 0 {
		e.Fatal("a table without rows has no chunk")
	}
	r.read(l, l.Chunks()...)
	e.ok(l.Close())
	r.open()
	e.insert("t", 1, 2)
	r.catchUp()
}

// testLoadTruncated: a truncate does not respect snapshots, so that a load
// that meets one is void.
func testLoadTruncated(e *env) {
	e.createKinds(50)
	r := e.reader()
	l := r.load("keyed", "whole")
	e.do(func(tx Tx) { tx.Truncate("keyed") })
	for _, c := range l.Chunks() {
		if err := r.readChunk(l, c); c.Table.Name == "keyed" {
			e.wantKind(err, penstock.KindStale)
		} else {
			e.ok(err)
		}
	}
	e.ok(l.Close())
	e.insert("keyed", 1, 3)
	r.loadAll("keyed")
	r.open()
	r.catchUp()
}

func testLoadDropped(e *env) {
	e.createKinds(50)
	r := e.reader()
	l := r.load("keyed", "whole")
	e.s.Drop(e.T, "keyed")
	for _, c := range l.Chunks() {
		if err := r.readChunk(l, c); c.Table.Name == "keyed" {
			e.wantKind(err, penstock.KindStale)
		} else {
			e.ok(err)
		}
	}
	e.ok(l.Close())
	delete(r.joins, r.tables["keyed"].shape.ID)
	delete(r.tables, "keyed")
	r.open()
	r.catchUp()
	all, _, err := r.capture.Tables(e.ctx)
	e.ok(err)
	if slices.ContainsFunc(all, func(t penstock.Table) bool { return t.Name == "keyed" }) {
		e.Fatal("a dropped table is still listed")
	}
}

// testLoadFlushFails: what flush returns is what Read returns.
func testLoadFlushFails(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 300)
	r := e.reader()
	l := r.load("t")
	full := errors.New("no room")
	c := l.Chunks()[0]
	if err := l.Read(e.ctx, c, penstock.NewRows(c.Table), 1<<10, func(penstock.BadValues) error { return full }); !errors.Is(err, full) {
		e.Fatalf("got %v, want %v", err, full)
	}
	r.read(l, l.Chunks()...) // the load is as good as before
	e.ok(l.Close())
	r.open()
	r.catchUp()
}
