package pgsource

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"penstock"
)

// A load that broke goes on with another snapshot, and reads the pages that
// are missing. What it then has of a table, chunks of several snapshots, is
// joined with the stream as of the oldest, which shows the least: the stream
// delivers everything that the oldest does not show, once more to the rows that
// a newer one had it from. For each row that is right in the end, because
//
//   - if nothing has changed it since the oldest snapshot, it is where it was,
//     in one page of the same file, which was read once;
//   - if something has, the last change is delivered before the newest
//     snapshot is passed, and says all of it: what has the key goes, and the
//     new row comes. Values that an update leaves unchanged are taken from any
//     row of that key, or read again by key: if they are newer than the update,
//     it is not the last change.
//
// So it takes a key. A change of the file (TRUNCATE, VACUUM FULL, CLUSTER, a
// rewriting ALTER TABLE) moves rows that nothing has changed, and a table whose
// file has changed starts again.

// pageRange is pages from and to, the last excluded; all from from on if to is
// negative.
type pageRange struct{ from, to int64 }

// chunkToken is what Chunk.Token says.
type chunkToken struct {
	oid, file uint32
	filter    uint32 // checksum of the filter of its rows
	pages     pageRange
	name      string // quoted
}

func (t chunkToken) String() string {
	return fmt.Sprintf("%d %d %d %d %d %s", t.oid, t.file, t.filter, t.pages.from, t.pages.to, t.name)
}

func parseChunk(token string) (t chunkToken, err error) {
	f := strings.SplitN(token, " ", 6)
	if len(f) != 6 {
		return t, penstock.Errorf(penstock.KindInternal, "%q is not a chunk", token)
	}
	if _, err := fmt.Sscan(strings.Join(f[:5], " "), &t.oid, &t.file, &t.filter, &t.pages.from, &t.pages.to); err != nil {
		return t, penstock.Errorf(penstock.KindInternal, "%q is not a chunk: %w", token, err)
	}
	t.name = f[5]
	return t, nil
}

// resumption is what can be gone on with of a table.
type resumption struct {
	snapshot snapshot // of what is done
	ranges   map[uint32][]pageRange
}

// done returns the pages of a piece that are done, in ascending order.
func (r resumption) done(p piece) []pageRange { return r.ranges[p.oid] }

// join returns the snapshot of what is done and of a new load together.
func (r resumption) join(now snapshot) snapshot {
	both := r.snapshot
	both.upto = max(both.upto, now.upto)
	return both
}

// resumable returns the tables that can be gone on with, given their pieces as
// they are now.
func resumable(tables []penstock.Table, pieces []piece, begun map[penstock.TableID]*penstock.PartialLoad) map[penstock.TableID]resumption {
	now := map[penstock.TableID]map[uint32]piece{} // by table and relation
	for _, p := range pieces {
		id := p.table.ID
		if now[id] == nil {
			now[id] = map[uint32]piece{}
		}
		now[id][p.oid] = p
	}
	out := map[penstock.TableID]resumption{}
	for i := range tables {
		t := &tables[i]
		if b := begun[t.ID]; b != nil && len(b.Chunks) > 0 && t.Identity == penstock.IdentityKey {
			if r, ok := resume(b, now[t.ID]); ok {
				out[t.ID] = r
			}
		}
	}
	return out
}

func resume(begun *penstock.PartialLoad, now map[uint32]piece) (r resumption, ok bool) {
	var err error
	if r.snapshot, err = decodeSnapshot(begun.Snapshot); err != nil || r.snapshot.before {
		return r, false
	}
	r.ranges = map[uint32][]pageRange{}
	for _, text := range begun.Chunks {
		token, err := parseChunk(text)
		if err != nil {
			return r, false
		}
		if p, there := now[token.oid]; !there || token != p.token(token.pages) {
			return r, false
		}
		r.ranges[token.oid] = append(r.ranges[token.oid], token.pages)
	}
	for _, ranges := range r.ranges {
		slices.SortFunc(ranges, func(a, b pageRange) int { return cmp.Compare(a.from, b.from) })
		for i := 1; i < len(ranges); i++ {
			if before := ranges[i-1].to; before < 0 || before > ranges[i].from {
				return r, false // pages that were read twice
			}
		}
	}
	return r, true
}

// keyText returns a key's value as text that the server reads back as the same
// value; false if that cannot be had.
func keyText(v *penstock.Vector, i int) (string, bool) {
	switch t := v.Type(); t.Kind {
	case penstock.TypeBool:
		return strconv.FormatBool(v.Bool(i)), true
	case penstock.TypeInt16:
		return strconv.FormatInt(int64(v.Int16(i)), 10), true
	case penstock.TypeInt32:
		return strconv.FormatInt(int64(v.Int32(i)), 10), true
	case penstock.TypeInt64:
		return strconv.FormatInt(v.Int64(i), 10), true
	case penstock.TypeText:
		return string(v.Bytes(i)), true
	case penstock.TypeBytes:
		return fmt.Sprintf("\\x%x", v.Bytes(i)), true
	case penstock.TypeUUID:
		return fmt.Sprintf("%x", v.UUID(i)), true
	case penstock.TypeDate:
		return dateText(int64(v.Int32(i)), v.Int32(i) == penstock.DateInfinity || v.Int32(i) == -penstock.DateInfinity)
	case penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		return timestampText(v.Int64(i))
	case penstock.TypeDecimal:
		return decimalText(v, i)
	}
	return "", false
}
