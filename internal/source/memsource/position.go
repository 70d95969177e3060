package memsource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"penstock"
)

// position is a place in the log as seen by one slot.
type position struct {
	system int64
	name   string // of the database
	slot   int
	lsn    int
}

func (p position) encode() penstock.Position {
	return penstock.Position(fmt.Sprintf("memory:%d:%d:%d:%s", p.system, p.slot, p.lsn, p.name))
}

func decodePosition(s penstock.Position) (p position, err error) {
	f := strings.SplitN(string(s), ":", 5)
	if len(f) != 5 || f[0] != "memory" {
		return p, penstock.Errorf(penstock.KindPositionLost, "stored position %q is of another kind of source", s)
	}
	if _, err := fmt.Sscan(f[1]+" "+f[2]+" "+f[3], &p.system, &p.slot, &p.lsn); err != nil {
		return p, penstock.Errorf(penstock.KindPositionLost, "stored position %q is damaged", s)
	}
	p.name = f[4]
	return p, nil
}

// snapshot shows the transactions that were committed when it was taken: those
// below xmax that were not running. Nothing that it shows is in the log past upto.
type snapshot struct {
	// before is set for the snapshot of a table that followed a stream of its
	// own: it shows exactly what is in the log up to upto.
	before bool

	xmax    uint64
	running []uint64
	upto    int
}

// shows reports whether it shows a transaction, by its number and its end in
// the log.
func (s snapshot) shows(xid uint64, lsn int) bool {
	if s.before {
		return lsn <= s.upto
	}
	return xid != 0 && xid < s.xmax && !slices.Contains(s.running, xid)
}

func (s snapshot) encode() penstock.Snapshot {
	if s.before {
		return penstock.Snapshot(strconv.Itoa(s.upto))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d", s.upto, s.xmax)
	for _, x := range s.running {
		fmt.Fprintf(&b, ":%d", x)
	}
	return penstock.Snapshot(b.String())
}

func decodeSnapshot(text penstock.Snapshot) (s snapshot, err error) {
	fields := strings.Split(string(text), ":")
	s.before = len(fields) == 1
	for i, f := range fields {
		n, err := strconv.ParseUint(f, 10, 63)
		switch {
		case err != nil:
			return s, penstock.Errorf(penstock.KindInternal, "%q is not a snapshot", text)
		case i == 0:
			s.upto = int(n)
		case i == 1:
			s.xmax = n
		default:
			s.running = append(s.running, n)
		}
	}
	return s, nil
}
