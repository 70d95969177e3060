package pgsource

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"penstock"
)

// logicalMessage is pgoutput's message 'M': what somebody wrote into the WAL.
type logicalMessage struct {
	transactional bool
	prefix        string
	content       []byte
}

func parseLogicalMessage(b []byte) (m logicalMessage, err error) {
	w := wire{b: b}
	m.transactional = w.byte()&1 != 0
	w.int64() // its position
	m.prefix = w.cstring()
	m.content = w.take(int(w.int32()))
	return m, w.err()
}

// ddlMessage is what the event trigger says (ddltrigger.sql): either that a
// table is about to be rewritten, or what a command has done.
type ddlMessage struct {
	Rewritten jsonOID `json:"rewritten"`
	Reason    int     `json:"reason"` // see rewrite
	Plain     bool    `json:"plain"`  // one ALTER TABLE without USING

	Tag        string         `json:"tag"`
	Dropped    []jsonOID      `json:"dropped"`
	Created    []jsonOID      `json:"created"` // partitions, empty when this was said
	Reload     []jsonOID      `json:"reload"`  // tables whose values look different now
	Relations  []ddlRelation  `json:"relations"`
	Attributes []ddlAttribute `json:"attributes"`
	Types      []ddlType      `json:"types"`
	Fills      []ddlFill      `json:"fills"`
}

// jsonOID is an OID, which JSON of the server has as a string.
type jsonOID uint32

func (o *jsonOID) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(strings.Trim(string(b), `"`), 10, 32)
	*o = jsonOID(n)
	return err
}

type ddlRelation struct {
	OID      jsonOID `json:"oid"`
	Schema   string  `json:"schema"`
	Name     string  `json:"name"`
	Kind     string  `json:"kind"`
	Logged   bool    `json:"logged"`
	Identity string  `json:"identity"`
	Key      []int16 `json:"key"`
	Parts    string  `json:"parts"`
	Unlike   string  `json:"unlike"`
	Unfull   string  `json:"unfull"`
	File     int64   `json:"file"`
}

type ddlAttribute struct {
	Relation  jsonOID `json:"relation"`
	Number    int32   `json:"number"`
	Name      string  `json:"name"`
	Type      jsonOID `json:"typ"`
	Typmod    int32   `json:"typmod"`
	NotNull   bool    `json:"not_null"`
	Generated bool    `json:"generated"`
	Defined   string  `json:"defined"`
}

type ddlType struct {
	OID       jsonOID `json:"oid"`
	Typmod    int32   `json:"typmod"`
	Name      string  `json:"name"`
	Output    string  `json:"output"`
	Printed   string  `json:"printed"`
	Element   string  `json:"element"`
	Delimiter string  `json:"delimiter"`
	Labels    string  `json:"labels"`
}

// ddlFill is the value that a column has in rows that were there before it.
type ddlFill struct {
	Relation jsonOID `json:"relation"`
	Name     string  `json:"name"`
	Value    *string `json:"value"`
	Mixed    bool    `json:"mixed"` // among the partitions
}

func parseDDL(content []byte) (m ddlMessage, err error) {
	err = json.Unmarshal(content, &m)
	return m, err
}

// shapes returns the relations that a message tells of as the driver finds
// them in the catalog (see relations), and adds its types to those known. What
// is to be known of generated columns is not told.
func (m *ddlMessage) shapes(types *typeCache) []relation {
	for _, t := range m.Types {
		types.known[typeRef{uint32(t.OID), t.Typmod}] = typeInfo{name: t.Name, output: t.Output, printed: t.Printed, element: t.Element, delimiter: t.Delimiter, labels: t.Labels}
	}
	out := make([]relation, len(m.Relations))
	byOID := make(map[uint32]*relation, len(out))
	for i, r := range m.Relations {
		out[i] = relation{oid: uint32(r.OID), kind: r.Kind, logged: r.Logged, identity: r.Identity, unlike: r.Unlike, unfull: r.Unfull}
		out[i].table = penstock.Table{ID: tableID(uint32(r.OID)), Schema: r.Schema, Name: r.Name, Parts: r.Parts, Stored: penstock.Storage{File: strconv.FormatInt(r.File, 10)}}
		byOID[out[i].oid] = &out[i]
	}
	var attributes []attribute
	for _, a := range m.Attributes {
		if r := byOID[uint32(a.Relation)]; r != nil && r.carriable() {
			attributes = append(attributes, attribute{relation: r.oid, number: a.Number, name: a.Name, typ: uint32(a.Type), typmod: a.Typmod, notNull: a.NotNull, generated: a.Generated, defined: a.Defined})
		}
	}
	generated := addColumns(byOID, attributes, types)
	for i := range out {
		out[i].told = !slices.Contains(generated, out[i].oid)
		out[i].setIdentity(m.Relations[i].Key, 0)
	}
	return out
}

// fill returns what rows that are there have in a new column; false if that is
// not to be known from the message.
func (m *ddlMessage) fill(oid uint32, name string) (value *string, ok bool) {
	i := slices.IndexFunc(m.Fills, func(f ddlFill) bool { return uint32(f.Relation) == oid && f.Name == name })
	if i < 0 {
		return nil, true
	}
	return m.Fills[i].Value, !m.Fills[i].Mixed
}
