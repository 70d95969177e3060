package sourcetest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"penstock"
)

// pinner skips the test of a source that cannot be compared with.
func (r *reader) pinner() penstock.Pinner {
	r.Helper()
	p, ok := r.capture.(penstock.Pinner)
	if !ok {
		r.Skip("the source cannot show itself at a position")
	}
	return p
}

func (r *reader) hold() { r.stream.Until(r.position) }

// pin holds the stream, shows the database at a position, and has the stream
// go on up to there.
func (r *reader) pin() penstock.Pin {
	r.Helper()
	p, err := r.pinner().Pin(r.ctx, r.position, r.hold)
	r.ok(err)
	r.Cleanup(func() { p.Close() })
	r.stream.Until(p.Position())
	for r.position != p.Position() || r.inside {
		r.next(4 << 10)
	}
	return p
}

// wantPinned checks that a Pin shows just what has been read from the stream.
func (r *reader) wantPinned(p penstock.Pin, names ...string) {
	r.Helper()
	all, err := p.Tables(r.ctx)
	r.ok(err)
	for _, name := range names {
		i := slices.IndexFunc(all, func(t penstock.Table) bool { return t.Name == name })
		if i < 0 {
			r.Fatalf("table %s is not shown", name)
		}
		if read := r.tables[name].shape; !all[i].Equal(&read) {
			r.Fatalf("table %s is shown as %+v, want %+v", name, all[i], read)
		}
		l, err := p.Load(r.ctx, all[i:i+1])
		r.ok(err)
		var got []Row
		for _, c := range l.Chunks() {
			rows := penstock.NewRows(c.Table)
			r.ok(l.Read(r.ctx, c, rows, 4<<10, func(penstock.BadValues) error {
				for i := range rows.Len() {
					got = append(got, rowOf(rows, i))
				}
				rows.Clear()
				return nil
			}))
		}
		r.ok(l.Close())
		want := slices.Clone(r.tables[name].rows)
		order := func(a, b Row) int {
			return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.N, b.N), cmp.Compare(a.Body, b.Body))
		}
		slices.SortFunc(got, order)
		slices.SortFunc(want, order)
		if !slices.Equal(got, want) {
			r.Fatalf("table %s shows %d rows, the stream has made %d of it\n shown %v\nstream %v", name, len(got), len(want), got, want)
		}
	}
}

// testUntil: a bounded stream delivers nothing beyond the bound, can be woken
// and closed there, and goes on when the bound is lifted.
func testUntil(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	r.open()
	r.quiet()
	r.stream.Until(r.position)
	e.insert("t", 1, 3)
	for range 3 {
		r.stream.Wake()
		if c := r.next(1 << 20); len(c.Tables) > 0 {
			e.Fatalf("%d tables changed beyond the bound", len(c.Tables))
		}
	}
	ctx, cancel := context.WithCancel(e.ctx)
	done := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = r.stream.Next(ctx, &penstock.Changes{Position: r.position}, 1<<20)
		}
		done <- err
	}()
	cancel()
	<-done
	r.stream.Until("")
	r.catchUp()

	r.stream.Until(r.position)
	e.insert("t", 4, 6)
	go func() {
		var err error
		for err == nil {
			err = r.stream.Next(e.ctx, &penstock.Changes{Position: r.position}, 1<<20)
		}
		done <- err
	}()
	e.ok(r.stream.Close())
	if err := <-done; err == nil {
		e.Fatal("Next of a closed stream succeeds")
	}
}

// testPin: what a Pin shows is what the stream delivers up to its position,
// whoever commits meanwhile.
func testPin(e *env) {
	e.createKinds(20)
	r := e.reader()
	r.pinner()
	r.loadAll(kinds...)
	r.open()
	r.catchUp()

	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range int64(3) {
		writers.Go(func() {
			base := 10_000 * (w + 1)
			e.do(func(tx Tx) {
				for _, name := range kinds {
					tx.Insert(name, rows(base, base+1)...)
				}
			})
			for n := base + 2; ; n += 3 {
				select {
				case <-stop:
					return
				default:
				}
				if n%2 == 0 {
					tx := e.s.Begin(e.T)
					tx.Insert("keyed", rows(n, n+100)...)
					tx.Rollback()
				}
				e.do(func(tx Tx) { changeKinds(tx, n, base, base+1) })
				e.do(func(tx Tx) {
					for _, name := range kinds {
						tx.Insert(name, Row{ID: base + 1, N: n})
					}
				})
			}
		})
	}
	for range 8 {
		p := r.pin()
		r.wantPinned(p, kinds...)
		r.stream.Until("")
		e.ok(p.Close())
		r.toMark(e.mark())
	}
	close(stop)
	writers.Wait()
	r.catchUp()
}

// pinWithin gives the source so much time to pin itself.
func (r *reader) pinWithin(d time.Duration) (penstock.Pin, error) {
	ctx, cancel := context.WithTimeout(r.ctx, d)
	defer cancel()
	return r.pinner().Pin(ctx, r.position, r.hold)
}

// testPinWaits: a Pin that cannot be had in time says so, and leaves nothing.
func testPinWaits(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	r.open()
	before := e.s.Left(e.T, e.id)
	open := e.s.Begin(e.T)
	open.Insert("t", Row{ID: 1})
	p, err := r.pinWithin(200 * time.Millisecond)
	for wait := 400 * time.Millisecond; penstock.KindOf(err) == penstock.KindUnreachable; wait *= 2 {
		e.ok(e.ctx.Err())
		p, err = r.pinWithin(wait) // connecting took all the time
	}
	if err == nil { // a source that waits for nobody
		e.ok(p.Close())
	} else {
		e.wantKind(err, penstock.KindConflict)
	}
	r.stream.Until("")
	open.Commit()
	for len(e.s.Left(e.T, e.id)) > len(before) {
		e.ok(e.ctx.Err())
		e.s.Touch(e.T)
	}
	r.catchUp()
	p = r.pin()
	r.wantPinned(p, "t")
	r.stream.Until("")
	e.insert("t", 2, 3)
	e.do(func(tx Tx) { tx.Truncate("t") })
	all, err := p.Tables(e.ctx)
	e.ok(err)
	l, err := p.Load(e.ctx, all)
	e.ok(err)
	stale := 0
	for _, c := range l.Chunks() {
		rows := penstock.NewRows(c.Table)
		err := l.Read(e.ctx, c, rows, 4<<10, func(penstock.BadValues) error { rows.Clear(); return nil })
		if c.Table.Name == "t" {
			e.wantKind(err, penstock.KindStale)
			stale++
		} else {
			e.ok(err)
		}
	}
	if stale == 0 {
		e.Fatal("an emptied table has no chunk to say so")
	}
	e.ok(p.Close())
	r.catchUp()
}
