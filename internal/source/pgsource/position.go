package pgsource

import (
	"fmt"
	"strconv"
	"strings"

	"penstock"
)

// position is a place in the history of one database as seen by one slot. A
// slot's name is random for each slot made, so it also tells slots apart that
// somebody dropped and made again.
type position struct {
	system   string // system identifier of the cluster
	timeline uint32
	database uint32 // OID
	slot     string
	lsn      lsn
	// publication is the OID of the publication that somebody prepared and the
	// stream reads; 0, and not written, if it reads our own.
	publication uint32
	// anchor is the last transaction up to lsn; not written if it is not known.
	anchor anchor
}

const positionPrefix = "postgresql"

func (p position) encode() penstock.Position {
	text := fmt.Sprintf("%s:%s:%d:%d:%s:%s", positionPrefix, p.system, p.timeline, p.database, p.slot, p.lsn)
	if p.publication != 0 {
		text += fmt.Sprintf(":%d", p.publication)
	}
	if p.anchor != (anchor{}) {
		text += ":" + p.anchor.String()
	}
	return penstock.Position(text)
}

func decodePosition(s penstock.Position) (p position, err error) {
	f := strings.Split(string(s), ":")
	if len(f) < 6 || len(f) > 8 || f[0] != positionPrefix {
		return p, penstock.Errorf(penstock.KindPositionLost, "stored position %q is not one of PostgreSQL", s)
	}
	tl, err1 := strconv.ParseUint(f[2], 10, 32)
	db, err2 := strconv.ParseUint(f[3], 10, 32)
	at, err3 := parseLSN(f[5])
	var pub uint64
	var last anchor
	var err4, err5 error
	if n := len(f) - 1; n > 5 && strings.Contains(f[n], "@") {
		last, err5 = parseAnchor(f[n])
		f = f[:n]
	}
	if len(f) == 7 {
		pub, err4 = strconv.ParseUint(f[6], 10, 32)
	}
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil || len(f) > 7 {
		return p, penstock.Errorf(penstock.KindPositionLost, "stored position %q is damaged", s)
	}
	return position{system: f[1], timeline: uint32(tl), database: uint32(db), slot: f[4], lsn: at, publication: uint32(pub), anchor: last}, nil
}

var _ penstock.Labeler = (*Source)(nil)

// Label implements penstock.Labeler: the LSN, as pg_current_wal_lsn() prints it.
func (s *Source) Label(p penstock.Position) string {
	at, err := decodePosition(p)
	if err != nil {
		return ""
	}
	return at.lsn.String()
}

// String writes an LSN as PostgreSQL does.
func (l lsn) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// beforeHeader returns where the last record ended if l is behind the header of
// a page on which there is none yet. The stream gets there, but not beyond.
func (l lsn) beforeHeader() lsn {
	const page, short, long = 8192, 24, 40
	if in := l % page; in == short || in == long {
		return l - in
	}
	return l
}

func parseLSN(s string) (lsn, error) {
	hi, lo, ok := strings.Cut(s, "/")
	h, err1 := strconv.ParseUint(hi, 16, 32)
	l, err2 := strconv.ParseUint(lo, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("%q is not a WAL position", s)
	}
	return lsn(h<<32 | l), nil
}
