package pgsource

import (
	"slices"
	"testing"

	"penstock"
)

func TestPosition(t *testing.T) {
	t.Parallel()
	p := position{system: "7301234567890123456", timeline: 3, database: 4294967295, slot: "penstock_3f2a91bc_0a1b2c", lsn: 0xFFFFFFFF_00000001}
	got, err := decodePosition(p.encode())
	noError(t, err)
	if got != p {
		t.Errorf("%q decodes to %+v", p.encode(), got)
	}
	// Positions are stored, so that their form is for ever.
	if want := penstock.Position("postgresql:7301234567890123456:3:4294967295:penstock_3f2a91bc_0a1b2c:FFFFFFFF/1"); p.encode() != want {
		t.Errorf("encoded as %q, want %q", p.encode(), want)
	}
	p.anchor = anchor{xid: 731, start: 0x1_00000010, end: 0x1_00000040, at: 1764268000123456}
	for _, pub := range []uint32{0, 16401} {
		p.publication = pub
		got, err := decodePosition(p.encode())
		noError(t, err)
		if got != p {
			t.Errorf("%q decodes to %+v", p.encode(), got)
		}
	}
	if want := penstock.Position("postgresql:7301234567890123456:3:4294967295:penstock_3f2a91bc_0a1b2c:FFFFFFFF/1:16401:731@100000010-100000040@1764268000123456"); p.encode() != want {
		t.Errorf("encoded as %q, want %q", p.encode(), want)
	}
	for _, s := range []penstock.Position{"", "postgresql", "postgresql:1:1:1:s:0/1:5:5:7@1-2@3", "postgresql:1:1:1:s:0/1:7@1-x@3", "postgresql:1:1:1:s:0/1:7@1-2@3@4", "mysql:1:1:1:s:0/1", "postgresql:1:x:1:s:0/1", "postgresql:1:1:4294967296:s:0/1",
		"postgresql:1:1:1:s:01", "postgresql:1:1:1:s:0/1:", "postgresql:1:1:1:s:0/100000000"} {
		if _, err := decodePosition(s); penstock.KindOf(err) != penstock.KindPositionLost {
			t.Errorf("%q: %v, want an error of kind %q", s, err, penstock.KindPositionLost)
		}
	}
}

func TestSnapshotEncoding(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]snapshot{
		"10:20:10,14,15":                   {xmin: 10, xmax: 20, running: []uint64{10, 14, 15}},
		"10:20:15,10":                      {xmin: 10, xmax: 20, running: []uint64{10, 15}},
		"7:7:":                             {xmin: 7, xmax: 7},
		"4294967290:4294967300:4294967295": {xmin: 4294967290, xmax: 4294967300, running: []uint64{4294967295}},
	} {
		snap, err := parseSnapshot(text)
		noError(t, err)
		snap.upto, want.upto = 0x16_B374D848, 0x16_B374D848
		again, err := decodeSnapshot(snap.encode())
		noError(t, err)
		for _, got := range []snapshot{snap, again} {
			if got.xmin != want.xmin || got.xmax != want.xmax || got.upto != want.upto || !slices.Equal(got.running, want.running) {
				t.Errorf("%q is %+v, want %+v", text, got, want)
			}
		}
	}
	if s := (snapshot{xmin: 1, xmax: 3, running: []uint64{1, 2}, upto: 0x1_00000002}); s.encode() != "1/2@1:3:1,2" {
		t.Errorf("encoded as %q", s.encode())
	}
	for _, s := range []penstock.Snapshot{"", "1:2:", "0/1@", "0/1@1:2", "0/1@a:2:", "0/1@1:b:", "0/1@1:2:c", "x@1:2:"} {
		if _, err := decodeSnapshot(s); err == nil {
			t.Errorf("%q is taken for a snapshot", s)
		}
	}
}

// TestShows: a snapshot has 64-bit transaction numbers, the stream 32-bit
// ones that wrap around.
func TestShows(t *testing.T) {
	t.Parallel()
	const epoch = 1 << 32
	for _, c := range []struct {
		name string
		snap snapshot
		yes  []uint32
		no   []uint32
	}{
		{"first epoch", snapshot{xmin: 100, xmax: 110, running: []uint64{100, 105}},
			[]uint32{3, 99, 101, 104, 106, 109}, []uint32{100, 105, 110, 111, 1 << 30}},
		{"nothing running", snapshot{xmin: 100, xmax: 100}, []uint32{3, 99}, []uint32{100, 101}},
		{"later epoch", snapshot{xmin: 5*epoch + 100, xmax: 5*epoch + 110, running: []uint64{5*epoch + 100}},
			[]uint32{99, 101, 109, 4294967295, 3 << 30}, []uint32{100, 110, 1 << 30}},
		{"across a wraparound", snapshot{xmin: 2*epoch - 5, xmax: 2*epoch + 5, running: []uint64{2*epoch - 5, 2*epoch + 4}},
			[]uint32{4294967290, 4294967292, 4294967295, 3}, []uint32{4294967291, 4, 5, 100}},
		{"just before one", snapshot{xmin: epoch - 2, xmax: epoch - 1}, []uint32{4294967293, 4294967294}, []uint32{4294967295, 3, 10}},
		{"just after one", snapshot{xmin: epoch + 3, xmax: epoch + 4}, []uint32{4294967295, 3}, []uint32{4, 5}},
	} {
		for _, xid := range c.yes {
			if !c.snap.shows(xid, 0) {
				t.Errorf("%s: transaction %d is not shown", c.name, xid)
			}
		}
		for _, xid := range c.no {
			if c.snap.shows(xid, 0) {
				t.Errorf("%s: transaction %d is shown", c.name, xid)
			}
		}
	}

	// That of a table that followed a stream of its own goes by positions.
	followed, err := decodeSnapshot(snapshot{before: true, upto: 0x1_00000020}.encode())
	noError(t, err)
	if !followed.shows(7, 0x1_0000001F) || followed.shows(7, 0x1_00000020) {
		t.Errorf("%+v does not show exactly what committed before its position", followed)
	}
}
