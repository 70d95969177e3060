package sourcetest

import (
	"slices"

	"penstock"
)

func testCheck(e *env) {
	f, err := e.s.Source().ParseFilter(e.everything())
	e.ok(err)
	if got := e.s.Source().Databases(f); !slices.Equal(got, []string{e.s.Database()}) {
		e.Fatalf("%s names the databases %q", f, got)
	}
	findings, err := e.s.Source().Check(e.ctx, f)
	e.ok(err)
	for _, x := range findings {
		if x.Severity == penstock.SeverityAttention || x.Severity == penstock.SeverityFatal {
			e.Errorf("found %s: %s", x.Code, x.Message)
		}
	}
	if e.s.Source().Engine() == "" {
		e.Error("the engine has no name")
	}
	_, err = e.s.Source().ParseFilter("include: what is this")
	e.wantKind(err, penstock.KindInvalid)
}

// testNewTable: a table is in the stream from the moment it has been listed.
func testNewTable(e *env) {
	r := e.reader()
	r.open()
	e.insert(marks, 1000, 1001)
	r.catchUp()
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 3)
	r.look("t")
	e.insert("t", 4, 6)
	r.catchUp()
	e.ok(r.stream.Close())
	r.loadAll("t")
	e.insert("t", 7, 9)
	r.open()
	r.catchUp()
	r.wantOps("t", "insert 7", "insert 8", "insert 9")
}

// testPrepareAgain: a first position may be asked for again, and makes the one
// before void.
func testPrepareAgain(e *env) {
	r := e.reader()
	first := r.position
	e.insert(marks, 1000, 1000)
	at, err := r.capture.Prepare(e.ctx, "")
	e.ok(err)
	if at == first {
		e.Fatalf("the same position, %q, for two beginnings", at)
	}
	_, err = r.capture.Prepare(e.ctx, first)
	e.wantKind(err, penstock.KindPositionLost)
	r.position = at
	r.loadAll(marks)
	r.open()
	r.catchUp()
}

func testForeignPosition(e *env) {
	r := e.reader()
	other := newID()
	defer e.s.Source().Forget(e.ctx, other)
	foreign, err := e.capture(other, e.everything()).Prepare(e.ctx, "")
	e.ok(err)
	e.ok(e.s.Source().Forget(e.ctx, other))
	for _, p := range []penstock.Position{foreign, "nonsense", r.position + "x:", "1:" + r.position, "mysql:" + r.position} {
		_, err := r.capture.Prepare(e.ctx, p)
		e.wantKind(err, penstock.KindPositionLost)
	}
	at, err := r.capture.Prepare(e.ctx, r.position)
	e.ok(err)
	if at != r.position {
		e.Fatalf("resumed at %q, not at %q", at, r.position)
	}
}

func testPositionLost(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	r.open()
	e.insert("t", 1, 3)
	r.catchUp()
	e.ok(r.stream.Close())
	e.insert("t", 4, 6)
	e.s.LosePositions(e.T, e.id)
	_, err := r.capture.Prepare(e.ctx, r.position)
	e.wantKind(err, penstock.KindPositionLost)

	// Only from the beginning.
	at, err := r.capture.Prepare(e.ctx, "")
	e.ok(err)
	r.position = at
	r.loadAll("t", marks)
	r.open()
	e.insert("t", 7, 9)
	r.catchUp()
}

func testForget(e *env) {
	source := e.s.Source()
	e.ok(source.Forget(e.ctx, e.id)) // nothing there
	r := e.reader()
	r.open()
	r.catchUp()
	if left := e.s.Left(e.T, e.id); len(left) == 0 {
		e.Error("a stream seems to leave nothing at the source")
	}
	e.ok(r.stream.Close())
	e.ok(r.capture.Close())
	e.ok(source.Forget(e.ctx, e.id))
	e.ok(source.Forget(e.ctx, e.id))
	if left := e.s.Left(e.T, e.id); len(left) > 0 {
		e.Fatalf("left at the source: %q", left)
	}
	_, err := e.capture(e.id, e.everything()).Prepare(e.ctx, r.position)
	e.wantKind(err, penstock.KindPositionLost)
	e.insert(marks, 1000, 1010) // the application goes on
}

// testForgetStream: what one integration has in one database goes, and nothing
// of others.
func testForgetStream(e *env) {
	source := e.s.Source()
	e.ok(source.ForgetStream(e.ctx, e.id, e.s.Database())) // nothing there
	other := newID()
	defer source.Forget(e.ctx, other)
	kept, err := e.capture(other, e.everything()).Prepare(e.ctx, "")
	e.ok(err)
	r := e.reader()
	r.open()
	r.catchUp()
	e.ok(r.stream.Close())
	e.ok(r.capture.Close())
	e.ok(source.ForgetStream(e.ctx, e.id, "no such database"))
	if left := e.s.Left(e.T, e.id); len(left) == 0 {
		e.Error("what the stream has in one database went with another")
	}
	e.ok(source.ForgetStream(e.ctx, e.id, e.s.Database()))
	e.ok(source.ForgetStream(e.ctx, e.id, e.s.Database()))
	if left := e.s.Left(e.T, e.id); len(left) > 0 {
		e.Fatalf("left at the source: %q", left)
	}
	_, err = e.capture(e.id, e.everything()).Prepare(e.ctx, r.position)
	e.wantKind(err, penstock.KindPositionLost)
	_, err = e.capture(other, e.everything()).Prepare(e.ctx, kept)
	e.ok(err)
}
