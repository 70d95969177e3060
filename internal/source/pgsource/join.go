package pgsource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"penstock"
)

// snapshot is what a load saw: PostgreSQL's pg_snapshot, and a WAL position
// that was reached after it was taken.
//
// The join of a load with the stream is exact because a transaction's changes
// are in the loaded rows if and only if its xid is visible here: then the
// stream leaves them out for the tables of this load, otherwise it delivers
// them. No commit record of a visible transaction lies at or after upto, so
// once the stream is there, nothing needs leaving out any more.
type snapshot struct {
	// before is set for the snapshot of a table that followed a stream of its
	// own: it shows exactly what committed before upto.
	before bool

	xmin, xmax uint64
	running    []uint64 // xids from xmin to xmax that were in progress, ascending
	upto       lsn
}

// everythingBefore stands for the list of transactions when before is set.
const everythingBefore = "before"

func parseSnapshot(s string) (snap snapshot, err error) {
	f := strings.Split(s, ":")
	if len(f) != 3 {
		return snap, fmt.Errorf("%q is not a pg_snapshot", s)
	}
	var err1, err2 error
	snap.xmin, err1 = strconv.ParseUint(f[0], 10, 64)
	snap.xmax, err2 = strconv.ParseUint(f[1], 10, 64)
	if err1 != nil || err2 != nil {
		return snap, fmt.Errorf("%q is not a pg_snapshot", s)
	}
	for x := range strings.SplitSeq(f[2], ",") {
		if x == "" {
			continue
		}
		v, err := strconv.ParseUint(x, 10, 64)
		if err != nil {
			return snap, fmt.Errorf("%q is not a pg_snapshot", s)
		}
		snap.running = append(snap.running, v)
	}
	slices.Sort(snap.running)
	return snap, nil
}

func (s snapshot) encode() penstock.Snapshot {
	if s.before {
		return penstock.Snapshot(s.upto.String() + "@" + everythingBefore)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s@%d:%d:", s.upto, s.xmin, s.xmax)
	for i, x := range s.running {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(x, 10))
	}
	return penstock.Snapshot(b.String())
}

func decodeSnapshot(s penstock.Snapshot) (snapshot, error) {
	at, rest, _ := strings.Cut(string(s), "@")
	upto, err := parseLSN(at)
	if err != nil {
		return snapshot{}, err
	}
	if rest == everythingBefore {
		return snapshot{before: true, upto: upto}, nil
	}
	snap, err := parseSnapshot(rest)
	snap.upto = upto
	return snap, err
}

// shows reports whether the snapshot shows a committed top-level transaction,
// by the low 32 bits of its xid and the position of its commit record, as
// pgoutput sends them. Transactions near a live snapshot are less than 2^31
// apart, as everywhere in PostgreSQL.
func (s snapshot) shows(xid uint32, commit lsn) bool {
	if s.before {
		return commit < s.upto
	}
	full := s.xmax + uint64(int64(int32(xid-uint32(s.xmax))))
	if full < s.xmin {
		return true
	}
	if full >= s.xmax {
		return false
	}
	_, running := slices.BinarySearch(s.running, full)
	return !running
}
