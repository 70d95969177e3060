package sourcetest

import (
	"slices"

	"penstock"
)

// testLocate: the end of the history is reached with what has been committed
// before, and not sooner, also when nobody writes any more.
func testLocate(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	r := e.reader()
	r.know("t")
	r.open()
	l, ok := r.capture.(penstock.Locator)
	if !ok {
		e.Skip("nobody can wait for a place in this source's history")
	}
	for i := range int64(5) {
		e.insert("t", 10*i, 10*i+2)
		now, err := l.Now(e.ctx)
		e.ok(err)
		if r.capture.Covers(r.position, now) {
			e.Fatalf("round %d: the end is reached before the stream was read", i)
		}
		for !r.capture.Covers(r.position, now) {
			r.next(1 << 20)
		}
		if !slices.ContainsFunc(r.tables["t"].rows, func(row Row) bool { return row.ID == 10*i+2 }) {
			e.Fatalf("round %d: the end is reached without the last row", i)
		}
		if label, ok := e.s.Source().(penstock.Labeler); ok {
			again, err := l.Locate(label.Label(now))
			e.ok(err)
			if !r.capture.Covers(again, now) || !r.capture.Covers(now, again) {
				e.Fatalf("%s is not the position that it is the label of", label.Label(now))
			}
		}
	}
	_, err := l.Locate("nowhere")
	e.wantKind(err, penstock.KindInvalid)
}
