package pgsource

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"penstock"
	"penstock/internal/spill"
)

// played is a connection on which a server has said all it has to say.
type played struct {
	net.Conn
	rest *bytes.Reader
}

func (p played) Read(b []byte) (int, error)      { return p.rest.Read(b) }
func (p played) Close() error                    { return nil }
func (p played) SetReadDeadline(time.Time) error { return nil }

// playedStream returns a stream of the fuzz tables that is sent messages.
func playedStream(dir string, memory, block int, messages [][]byte) *stream {
	var sent []byte
	for _, m := range messages {
		sent = append(sent, 'd')
		sent = binary.BigEndian.AppendUint32(sent, uint32(4+len(m)))
		sent = append(sent, m...)
	}
	tables, types := fuzzTables()
	source := &Source{base: &pgx.ConnConfig{}}
	s := &stream{tables: tables, types: types, joining: []*streamTable{tables[3]}, spools: newSpools(spill.New(dir, make([]byte, 32))),
		feed: newFeed(played{rest: bytes.NewReader(sent)}), feedback: &feedback{now: make(chan struct{}, 1)}, capture: &capture{source: source}}
	s.spools.memory, s.spools.block = memory, block
	return s
}

// script is a server's side of a stream, and what has to come of it.
type script struct {
	sent    [][]byte
	lsn     lsn
	xids    uint32
	rows    int
	open    []*scripted
	deliver []string // what has to be delivered, in order
	commits int
}

// scripted is a transaction in progress.
type scripted struct {
	xid     uint32
	started bool
	nesting []uint32          // subtransactions, innermost last
	parents map[uint32]uint32 // of those that were released too
	sent    map[uint32]bool   // those that have changes
	rows    []scriptedRow
}

type scriptedRow struct {
	by   uint32
	text string
}

func (s *script) send(parts ...any) { s.sent = append(s.sent, message(parts...)) }

// insert returns an insert of a new row and what is delivered of it.
func (s *script) insert(rt *rapid.T, prefix ...any) (m []any, want string) {
	s.rows++
	oid := uint32(rapid.IntRange(1, 3).Draw(rt, "table"))
	body := strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 10, 100, 700}).Draw(rt, "size"))
	m = append(append([]any{"I"}, prefix...), oid, "N", int16(2), text(fmt.Sprint(s.rows)), text(body))
	return m, fmt.Sprintf("%d: %d %s", oid, s.rows, body)
}

// committed takes note of what a commit delivers. Table 3 is joined by a
// snapshot that shows the transactions below 9 but for 7, until it is passed,
// at 100.
func (s *script) committed(xid uint32, rows []string) (commit, end lsn) {
	commit, end = s.lsn, s.lsn+1
	shown := xid < 9 && xid != 7 && s.reached() < 100
	for _, r := range rows {
		if !shown || !strings.HasPrefix(r, "3:") {
			s.deliver = append(s.deliver, r)
		}
	}
	s.commits++
	s.lsn += 2
	return commit, end
}

func (s *script) xid() uint32 { s.xids++; return s.xids }

// pick returns a transaction in progress, or a new one.
func (s *script) pick(rt *rapid.T) *scripted {
	if i := rapid.IntRange(0, len(s.open)).Draw(rt, "transaction"); i < len(s.open) {
		return s.open[i]
	}
	t := &scripted{xid: s.xid(), parents: map[uint32]uint32{}, sent: map[uint32]bool{}}
	s.open = append(s.open, t)
	return t
}

func (t *scripted) innermost() uint32 {
	if n := len(t.nesting); n > 0 {
		return t.nesting[n-1]
	}
	return t.xid
}

// block sends changes of a transaction in progress.
func (s *script) block(rt *rapid.T) {
	t := s.pick(rt)
	first := byte(0)
	if !t.started {
		first = 1
	}
	t.started = true
	s.send("S", t.xid, first)
	for range rapid.IntRange(0, 6).Draw(rt, "changes") {
		by := t.innermost()
		switch rapid.IntRange(0, 9).Draw(rt, "kind") {
		case 0:
			s.send("O", int64(0), "origin\x00")
		case 1:
			s.send("M", by, byte(1), int64(0), "somebody\x00", int32(2), "hi")
		case 2:
			s.send("Y", by, uint32(99), "public\x00t\x00")
		default:
			m, text := s.insert(rt, by)
			s.send(m...)
			t.sent[by] = true
			t.rows = append(t.rows, scriptedRow{by, text})
		}
	}
	s.send("E")
}

// savepoint begins a subtransaction; release ends the innermost one.
func (s *script) savepoint(rt *rapid.T) {
	t := s.pick(rt)
	x := s.xid()
	t.parents[x] = t.innermost()
	t.nesting = append(t.nesting, x)
}

func (s *script) release(rt *rapid.T) {
	t := s.pick(rt)
	if n := len(t.nesting); n > 0 {
		t.nesting = t.nesting[:n-1]
	}
}

// rollbackTo rolls a subtransaction back with all below it, released ones
// included. The server tells of those of which it has sent something, and
// sometimes of others.
func (s *script) rollbackTo(rt *rapid.T) {
	t := s.pick(rt)
	if len(t.nesting) == 0 {
		return
	}
	depth := rapid.IntRange(0, len(t.nesting)-1).Draw(rt, "depth")
	gone := map[uint32]bool{t.nesting[depth]: true}
	for _, x := range sortedKeys(t.parents) { // children have larger numbers
		if gone[t.parents[x]] {
			gone[x] = true
		}
	}
	t.nesting = t.nesting[:depth]
	for _, x := range slices.Backward(sortedKeys(gone)) {
		if t.sent[x] || rapid.IntRange(0, 4).Draw(rt, "told") == 0 {
			s.send("A", t.xid, x)
		}
		delete(t.sent, x)
		delete(t.parents, x)
	}
	t.rows = slices.DeleteFunc(t.rows, func(r scriptedRow) bool { return gone[r.by] })
}

func sortedKeys[V any](m map[uint32]V) (keys []uint32) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (s *script) end(rt *rapid.T) (t *scripted, ok bool) {
	t = s.pick(rt)
	s.open = slices.DeleteFunc(s.open, func(o *scripted) bool { return o == t })
	return t, t.started
}

func (s *script) commit(rt *rapid.T) {
	t, ok := s.end(rt)
	if !ok {
		return
	}
	var rows []string
	for _, r := range t.rows {
		rows = append(rows, r.text)
	}
	commit, end := s.committed(t.xid, rows)
	s.send("c", t.xid, byte(0), int64(commit), int64(end), int64(1))
}

func (s *script) rollback(rt *rapid.T) {
	if t, ok := s.end(rt); ok {
		s.send("A", t.xid, t.xid)
	}
}

// ordinary is a transaction that comes whole.
func (s *script) ordinary(rt *rapid.T) {
	xid := s.xid()
	var rows []string
	var messages [][]any
	for range rapid.IntRange(0, 3).Draw(rt, "changes") {
		m, text := s.insert(rt)
		rows, messages = append(rows, text), append(messages, m)
	}
	commit, end := s.committed(xid, rows)
	s.send("B", int64(commit), int64(0), xid)
	for _, m := range messages {
		s.send(m...)
	}
	s.send("C", byte(0), int64(commit), int64(end), int64(1))
}

func (s *script) keepalive(*rapid.T) {
	s.lsn++
	s.sent = append(s.sent, appendParts([]byte{copyKeepalive}, int64(s.lsn), int64(0), byte(0)))
	s.lsn++
}

// playsOut: whatever the order in which the server sends transactions that are
// in progress, and however little fits in memory, what committed is delivered,
// in the order of the commits, and nothing else.
func playsOut(rt *rapid.T, dir string) {
	s := &script{lsn: 1}
	actions := map[string]func(*rapid.T){"": func(*rapid.T) {}}
	for name, f := range map[string]func(*rapid.T){"block": s.block, "block again": s.block, "savepoint": s.savepoint, "release": s.release,
		"rollbackTo": s.rollbackTo, "commit": s.commit, "rollback": s.rollback, "ordinary": s.ordinary, "keepalive": s.keepalive} {
		actions[name] = f
	}
	rt.Repeat(actions)
	memory := rapid.SampledFrom([]int{1 << 20, 4000, 1000, 10}).Draw(rt, "memory")
	block := rapid.SampledFrom([]int{1 << 10, 300, 7}).Draw(rt, "block")
	limit := rapid.SampledFrom([]int{1 << 20, 2000, 1}).Draw(rt, "limit")

	st := playedStream(dir, memory, block, s.sent)
	defer st.release()
	defer st.feed.close()
	var got []string
	commits, reached := 0, lsn(0)
	c := &penstock.Changes{}
	for {
		err := st.Next(rt.Context(), c, limit)
		if held := st.spools.held; held > memory+block {
			rt.Fatalf("%d bytes in memory, %d are allowed", held, memory)
		}
		for _, tc := range c.Tables {
			for i := range tc.Ops {
				got = append(got, fmt.Sprintf("%s: %s %s", tc.Table.ID, render(&tc.Rows.Vectors[0], i), render(&tc.Rows.Vectors[1], i)))
			}
		}
		commits += c.Transactions
		if p := st.position.lsn; p < reached {
			rt.Fatalf("back from %s to %s", reached, p)
		}
		reached = st.position.lsn
		if err != nil {
			if penstock.KindOf(err) != penstock.KindUnreachable || !strings.Contains(err.Error(), "closed") {
				rt.Fatal(err)
			}
			break
		}
		c.Reset()
	}
	if commits != s.commits || reached != s.reached() {
		rt.Errorf("%d commits, at %s; want %d, at %s", commits, reached, s.commits, s.reached())
	}
	for oid := 1; oid <= 3; oid++ {
		if got, want := ofTable(got, oid), ofTable(s.deliver, oid); !slices.Equal(got, want) {
			rt.Errorf("table %d:\n got %.200q\nwant %.200q", oid, got, want)
		}
	}
	if len(st.spools.open) != s.started() {
		rt.Errorf("%d transactions are kept, %d are in progress", len(st.spools.open), s.started())
	}
	st.feed.close()
	st.release()
	if len(st.spools.open) != 0 || st.spools.held != 0 {
		rt.Errorf("%d transactions are kept after the end, %d bytes", len(st.spools.open), st.spools.held)
	}
}

// reached is the last boundary that was sent: of a commit, or by a keepalive.
func (s *script) reached() lsn {
	if s.lsn == 1 {
		return 0
	}
	return s.lsn - 1
}

func (s *script) started() (n int) {
	for _, t := range s.open {
		if t.started {
			n++
		}
	}
	return n
}

func ofTable(rows []string, oid int) (out []string) {
	for _, r := range rows {
		if strings.HasPrefix(r, fmt.Sprintf("%d:", oid)) {
			out = append(out, r)
		}
	}
	return out
}

func TestStreamedPlaysOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) { playsOut(rt, dir) })
}

// FuzzStreamed is the same, with scripts that a fuzzer looks for.
func FuzzStreamed(f *testing.F) {
	dir := f.TempDir()
	f.Fuzz(rapid.MakeFuzz(func(rt *rapid.T) { playsOut(rt, dir) }))
}

// TestStreamedOutOfOrder: what makes no sense is refused, not taken for
// something else.
func TestStreamedOutOfOrder(t *testing.T) {
	t.Parallel()
	start := message("S", uint32(7), byte(1))
	insert := message("I", uint32(7), uint32(1), "N", int16(2), text("1"), text("one"))
	end := message("E")
	begin := message("B", int64(10), int64(0), uint32(9))
	commit := message("c", uint32(7), byte(0), int64(20), int64(21), int64(0))
	for name, messages := range map[string][][]byte{
		"a later block of an unknown transaction": {message("S", uint32(7), byte(0))},
		"the first block twice":                   {start, end, start},
		"a block in a block":                      {start, start},
		"a block in a transaction":                {begin, start},
		"a commit in a block":                     {start, commit},
		"a begin in a block":                      {start, begin},
		"a keepalive cut short":                   {start, {copyKeepalive, 0}},
		"the end of no block":                     {end},
		"the commit of an unknown transaction":    {commit},
		"the commit of a rolled back one":         {start, end, message("A", uint32(7), uint32(7)), commit},
		"a commit in another transaction":         {start, end, begin, commit},
		"a rollback in a transaction":             {begin, message("A", uint32(7), uint32(7))},
		"a message without its transaction":       {start, message("I", int16(1))},
		"a rollback cut short":                    {start, end, message("A", uint32(7))},
		"a commit cut short":                      {start, end, message("c", uint32(7), byte(0))},
		"a row cut short":                         {start, insert[:len(insert)-2], end, commit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := playedStream(t.TempDir(), 10, 10, messages)
			c := &penstock.Changes{}
			err := s.Next(t.Context(), c, 1<<20)
			if err == nil || penstock.KindOf(err) == penstock.KindUnreachable || c.Transactions > 0 {
				t.Errorf("the error is %v after %d transactions", err, c.Transactions)
			}
			s.feed.close()
			s.release()
		})
	}
	s := playedStream(t.TempDir(), 10, 10, [][]byte{start, insert, end, commit})
	if c := (&penstock.Changes{}); s.Next(t.Context(), c, 1<<20) != nil || c.Transactions != 1 || c.Tables[0].Rows.Len() != 1 {
		t.Errorf("and in order: %+v", c)
	}
}

// fullDisk is a Spill on a disk that takes so many blocks.
type fullDisk struct{ left int }

func (d *fullDisk) Create() (penstock.SpillFile, error) { return d, nil }
func (d *fullDisk) Next(dst []byte) ([]byte, error)     { return dst, io.EOF }
func (d *fullDisk) Close() error                        { return nil }
func (d *fullDisk) Append([]byte) error {
	if d.left--; d.left < 0 {
		return penstock.Errorf(penstock.KindFull, "no space left")
	}
	return nil
}

// TestStreamedFullDisk: the stream ends with the disk's error, before anything
// of the transaction is delivered.
func TestStreamedFullDisk(t *testing.T) {
	t.Parallel()
	messages := [][]byte{message("S", uint32(7), byte(1))}
	for range 10 {
		messages = append(messages, message("I", uint32(7), uint32(1), "N", int16(2), text("1"), text(strings.Repeat("x", 1000))))
	}
	messages = append(messages, message("E"), message("c", uint32(7), byte(0), int64(20), int64(21), int64(0)))
	s := playedStream(t.TempDir(), 2000, 500, messages)
	s.spools.spill = &fullDisk{left: 3}
	c := &penstock.Changes{}
	if err := s.Next(t.Context(), c, 1<<20); penstock.KindOf(err) != penstock.KindFull || len(c.Tables) > 0 || s.position.lsn != 0 {
		t.Errorf("the error is %v, at %s with %d tables", err, s.position.lsn, len(c.Tables))
	}
}

// TestLargeMessages: what a large row takes in buffers is given back with it,
// before the target has it to work on.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	const size = 2 * feedKeep
	large, small := strings.Repeat("x", size), "small"
	insert := func(value string, prefix ...any) []byte {
		return message(append(append([]any{"I"}, prefix...), uint32(1), "N", int16(2), text("1"), text(value))...)
	}
	commit := func(kind string, xid ...any) []byte {
		return message(append(append([]any{kind}, xid...), byte(0), int64(20), int64(21), int64(0))...)
	}
	for name, messages := range map[string][][]byte{
		"ordinary": {message("B", int64(20), int64(0), uint32(7)), insert(large), insert(small), commit("C")},
		"streamed": {message("S", uint32(7), byte(1)), insert(large, uint32(7)), insert(small, uint32(7)), message("E"), commit("c", uint32(7))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := playedStream(t.TempDir(), spoolMemory, spoolBlock, messages)
			defer s.release()
			defer s.feed.close()
			c := &penstock.Changes{}
			for _, want := range []string{large, small} {
				c.Reset()
				noError(t, s.Next(t.Context(), c, 1<<20))
				if len(c.Tables) != 1 || len(c.Tables[0].Ops) != 1 || string(c.Tables[0].Rows.Vectors[1].Bytes(0)) != want {
					t.Fatalf("not the row of %d bytes", len(want))
				}
				held := len(s.feed.buf)
				if s.replay != nil {
					held += cap(s.replay.buf)
				}
				if held > feedKeep {
					t.Errorf("%d bytes of buffers are kept", held)
				}
			}
			if c.Open || c.Transactions != 1 {
				t.Errorf("the end is missing: %+v", c)
			}
		})
	}
}
