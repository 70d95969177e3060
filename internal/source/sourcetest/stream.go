package sourcetest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"penstock"
)

func testNothingBefore(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 3)
	r := e.reader()
	r.know("t")
	e.insert("t", 4, 4)
	r.open()
	r.toMark(e.mark())
	r.wantOps("t", "insert 4")
}

// testCommitOrder has transactions that begin in one order and commit in
// another: the latter counts.
func testCommitOrder(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	a, b, c := e.s.Begin(e.T), e.s.Begin(e.T), e.s.Begin(e.T)
	a.Insert("t", Row{ID: 1})
	b.Insert("t", Row{ID: 2})
	c.Insert("t", Row{ID: 3})
	a.Insert("t", Row{ID: 4})
	b.Insert("t", Row{ID: 5})
	c.Commit()
	a.Commit()
	e.insert("t", 6, 6)
	b.Commit()
	r.open()
	r.toMark(e.mark())
	r.wantOps("t", "insert 3", "insert 1", "insert 4", "insert 6", "insert 2", "insert 5")
}

func testRolledBack(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 2)
	r := e.reader()
	r.loadAll("t")
	r.open()
	tx := e.s.Begin(e.T)
	tx.Insert("t", rows(10, 20)...)
	tx.Update("t", 1, map[string]any{"n": 5})
	tx.Delete("t", 2)
	tx.Rollback()
	e.insert("t", 3, 3)
	r.catchUp()
	r.wantOps("t", "insert 3")
}

func testOperations(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.s.Create(e.T, "u", penstock.IdentityKey)
	r := e.reader()
	r.know("t", "u")
	r.open()
	e.do(func(tx Tx) {
		tx.Insert("t", rows(1, 3)...)
		tx.Insert("u", rows(1, 1)...)
		tx.Update("t", 1, map[string]any{"n": 10, "body": "new"})
		tx.Delete("t", 2)
		tx.Insert("t", Row{ID: 2, Body: "again"})
		tx.Update("t", 2, map[string]any{"n": 3})
	})
	e.do(func(tx Tx) {
		tx.Delete("t", 3)
		tx.Update("u", 1, map[string]any{"body": "u"})
	})
	r.catchUp()
	r.wantOps("t", "insert 1", "insert 2", "insert 3", "update 1 to 1", "delete 2", "insert 2", "update 2 to 2", "delete 3")
	r.wantOps("u", "insert 1", "update 1 to 1")
}

func testKeyChange(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 4)
	r := e.reader()
	r.loadAll("t")
	r.open()
	e.do(func(tx Tx) {
		tx.Update("t", 1, map[string]any{"id": 9})
		tx.Update("t", 2, map[string]any{"id": 1, "n": 5})
		tx.Update("t", 9, map[string]any{"id": 2})
		tx.Delete("t", 2)
		tx.Update("t", 3, map[string]any{"id": 2})
	})
	e.do(func(tx Tx) { tx.Update("t", 4, map[string]any{"id": 40}) })
	r.catchUp()
	r.wantOps("t", "rename 1 to 9", "rename 2 to 1", "rename 9 to 2", "delete 2", "rename 3 to 2", "rename 4 to 40")
}

// testWholeRows: without a key the old row comes whole, and of rows that are
// equal only one is meant.
func testWholeRows(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityFull)
	body := strings.Repeat("long ", 2000)
	e.do(func(tx Tx) {
		tx.Insert("t", Row{1, 1, "x"}, Row{1, 1, "x"}, Row{1, 1, "x"}, Row{2, 2, body}, Row{2, 2, body})
	})
	r := e.reader()
	r.loadAll("t")
	r.open()
	e.do(func(tx Tx) {
		tx.Delete("t", 1)
		tx.Update("t", 1, map[string]any{"n": 2})
		tx.Update("t", 2, map[string]any{"n": 3})
	})
	e.do(func(tx Tx) {
		tx.Update("t", 2, map[string]any{"id": 5})
		tx.Insert("t", Row{1, 1, "x"})
	})
	r.catchUp()
}

func testUnchangedValues(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	long := func(s string) string { return strings.Repeat(s, 4000) }
	e.do(func(tx Tx) {
		tx.Insert("t", Row{1, 1, long("a")}, Row{2, 2, long("b")}, Row{3, 3, "short"})
	})
	r := e.reader()
	r.loadAll("t")
	r.open()
	e.do(func(tx Tx) {
		tx.Update("t", 1, map[string]any{"n": 10})
		tx.Update("t", 2, map[string]any{"id": 20})
		tx.Update("t", 3, map[string]any{"body": long("c")})
		tx.Update("t", 3, map[string]any{"n": 30})
		tx.Insert("t", Row{4, 4, long("d")})
		tx.Update("t", 4, map[string]any{"n": 40})
	})
	e.do(func(tx Tx) {
		tx.Update("t", 1, map[string]any{"body": "short"})
		tx.Update("t", 20, map[string]any{"n": 21})
		tx.Update("t", 20, map[string]any{"body": long("e")})
	})
	r.catchUp()
}

// testNoIdentity: updates and deletes of a table without identity work at the
// source, and are not in the stream.
func testNoIdentity(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityNone)
	e.do(func(tx Tx) { tx.Insert("t", Row{ID: 1}, Row{ID: 1}, Row{ID: 2}) })
	r := e.reader()
	r.loadAll("t")
	r.open()
	e.do(func(tx Tx) {
		tx.Insert("t", Row{ID: 1}, Row{ID: 3})
		tx.Update("t", 2, map[string]any{"n": 5})
		tx.Delete("t", 2)
		tx.Insert("t", Row{ID: 3})
	})
	r.toMark(e.mark())
	r.wantOps("t", "insert 1", "insert 3", "insert 3")
	e.do(func(tx Tx) {
		tx.Truncate("t")
		tx.Insert("t", Row{ID: 4})
	})
	r.catchUp()
}

func testTruncate(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.s.Create(e.T, "u", penstock.IdentityKey)
	e.insert("t", 1, 5)
	r := e.reader()
	r.loadAll("t", "u")
	r.open()
	e.do(func(tx Tx) {
		tx.Insert("t", Row{ID: 6})
		tx.Insert("u", Row{ID: 6})
		tx.Truncate("t")
		tx.Insert("t", Row{ID: 1, N: 1})
		tx.Update("t", 1, map[string]any{"n": 2})
	})
	r.catchUp()
	r.wantOps("t", "truncate", "insert 1", "update 1 to 1")
	e.do(func(tx Tx) { tx.Truncate("t") })
	r.catchUp()
	tx := e.s.Begin(e.T)
	tx.Truncate("u")
	tx.Rollback()
	r.catchUp()
}

// testLargeTransaction: one transaction that exceeds the limit comes in parts,
// without a position in between.
func testLargeTransaction(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	const n, size, limit = 400, 1000, 32 << 10
	e.do(func(tx Tx) {
		for id := range int64(n) {
			tx.Insert("t", Row{id, id, strings.Repeat("x", size)})
		}
	})
	r.open()
	parts := 0
	for len(r.tables["t"].rows) < n || r.inside {
		c := r.next(limit)
		if c.Size() > 3*limit {
			e.Fatalf("%d bytes for a limit of %d", c.Size(), limit)
		}
		if r.inside {
			parts++
		}
	}
	if want := n * size / limit / 3; parts < want {
		e.Fatalf("%d parts, want %d at least", parts, want)
	}
	r.catchUp()
}

// testSmallLimit: transactions that fit the limit come whole, few at a time.
func testSmallLimit(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	const n = 50
	for i := range int64(n) {
		e.do(func(tx Tx) { tx.Insert("t", Row{ID: 2 * i, Body: strings.Repeat("x", 500)}, Row{ID: 2*i + 1}) })
	}
	mark := e.mark()
	r.open()
	calls := 0
	for r.tables[marks].find(Row{ID: mark}, false) < 0 {
		c := r.next(4 << 10)
		if !c.Open && len(r.tables["t"].rows)%2 != 0 {
			e.Fatal("half a transaction, and not said to be")
		}
		calls++
	}
	if calls < 4 {
		e.Errorf("%d calls for %d rows", calls, 2*n)
	}
	r.catchUp()
}

// testMostTables: changes of no more tables are put together than there may be, but
// for those of one transaction.
func testMostTables(e *env) {
	names := []string{"t", "u", "v"}
	r := e.reader()
	for _, name := range names {
		e.s.Create(e.T, name, penstock.IdentityKey)
		r.know(name)
	}
	for i := range int64(10) {
		for _, name := range names {
			e.do(func(tx Tx) { tx.Insert(name, Row{ID: i}) })
		}
	}
	e.do(func(tx Tx) {
		for _, name := range names {
			tx.Insert(name, Row{ID: 100})
		}
	})
	mark := e.mark()
	r.open()
	whole := false
	for r.tables[marks].find(Row{ID: mark}, false) < 0 {
		c := &penstock.Changes{Position: r.position, MostTables: 2}
		r.ok(r.stream.Next(r.ctx, c, 1<<20))
		whole = whole || len(c.Tables) == len(names) && c.Transactions <= 2
		if len(c.Tables) > 2 && c.Transactions > 2 {
			e.Fatalf("%d transactions with changes of %d tables", c.Transactions, len(c.Tables))
		}
		r.take(c)
	}
	if !whole {
		e.Error("the transaction of three tables did not come whole")
	}
	r.catchUp()
}

// quiet reads until nothing is left, so that Next would wait.
func (r *reader) quiet() {
	r.Helper()
	r.toMark(r.mark())
	for range 3 { // what follows a mark: positions only
		r.stream.Wake()
		r.next(1 << 20)
	}
}

func testWake(e *env) {
	r := e.reader()
	r.open()
	r.quiet()
	r.stream.Wake() // before: the next Next does not wait
	if c := r.next(1 << 20); len(c.Tables) > 0 {
		e.Fatalf("woken, and got %d tables", len(c.Tables))
	}
	done := make(chan error, 1)
	go func() {
		c := &penstock.Changes{Position: r.position}
		done <- r.stream.Next(e.ctx, c, 1<<20)
	}()
	r.stream.Wake()
	e.ok(<-done)
	r.catchUp()
}

// testProgress: the position moves on when nobody changes what is carried.
func testProgress(e *env) {
	r := e.reader()
	r.open()
	r.quiet()
	for range 2 {
		before := r.position
		e.s.Touch(e.T)
		for r.position == before {
			if c := r.next(1 << 20); len(c.Tables) > 0 {
				e.Fatalf("%d tables changed", len(c.Tables))
			}
		}
	}
	r.stream.Ack(r.position)
	r.reopen()
	r.catchUp()
}

func testAckAndReopen(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	r.open()
	for i := range int64(4) {
		e.insert("t", 10*i, 10*i+3)
		r.catchUp()
		r.stream.Ack(r.position)
		e.insert("t", 10*i+4, 10*i+9)
		r.reopen()
	}
	r.catchUp()
	if got, err := r.capture.Retained(e.ctx); err != nil || got.Bytes < 0 || got.Age < 0 {
		e.Fatalf("the source retains %+v, %v", got, err)
	}
}

// testReopenWithoutAck: what was not acknowledged is delivered again, any
// number of times, after the position that the stream was opened from last.
func testReopenWithoutAck(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	start := r.position
	e.insert("t", 1, 5)
	r.open()
	r.catchUp()
	middle, seen := r.position, slices.Clone(r.tables[marks].rows)
	e.insert("t", 6, 9)
	r.catchUp()
	for range 2 {
		r.position, r.tables["t"].rows, r.tables[marks].rows = start, nil, nil
		r.reopen()
		r.catchUp()
	}
	r.position, r.tables["t"].rows, r.tables[marks].rows = middle, rows(1, 5), seen
	r.reopen()
	r.catchUp()
}

func testCloseDuringNext(e *env) {
	r := e.reader()
	r.open()
	r.quiet()
	done := make(chan error, 1)
	go func() { done <- r.stream.Next(e.ctx, &penstock.Changes{Position: r.position}, 1<<20) }()
	e.ok(r.stream.Close())
	if err := <-done; err == nil {
		// Woken by what came just before the close; the next one fails.
		err = r.stream.Next(e.ctx, &penstock.Changes{Position: r.position}, 1<<20)
		if err == nil {
			e.Fatal("Next of a closed stream succeeds")
		}
	}
}

func testCancelDuringNext(e *env) {
	r := e.reader()
	r.open()
	r.quiet()
	ctx, cancel := context.WithCancel(e.ctx)
	done := make(chan error, 1)
	go func() {
		for {
			if err := r.stream.Next(ctx, &penstock.Changes{Position: r.position}, 1<<20); err != nil {
				done <- err
				return
			}
		}
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		e.Fatalf("got %v, want %v", err, context.Canceled)
	}
	r.reopen()
	r.catchUp()
}
