package duckdbtarget

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"penstock"
)

// metaSchema is the schema of a destination database in which it remembers
// what it is. Its tables are:
//
//	meta(key, value)     format, and the DatabaseSpec
//	position(applied, time)
//	                     one row: the position, and DestinationState.Time in
//	                     microseconds, 0 if it is not known
//	tables(id, entry)    one row per table; entry is JSON, see entry
//	chunks(id, load, token, bytes, rows, bad)
//	                     one row per chunk that is done, of tables whose
//	                     hidden version is being loaded
const metaSchema = "_penstock"

// hiddenPrefix begins the names of tables that are being loaded.
const hiddenPrefix = "_penstock_load_"

// keptPrefix begins the names of tables behind one in history mode.
const keptPrefix = "_penstock_kept_"

// initialize makes the metadata of a new destination database.
func initialize(ctx context.Context, c *conn, alias string, spec penstock.DatabaseSpec) error {
	schema := ident(alias) + "." + metaSchema
	if err := c.execAll(ctx,
		"BEGIN",
		"CREATE SCHEMA "+schema,
		"CREATE TABLE "+schema+".meta (key VARCHAR, value VARCHAR)",
		"CREATE TABLE "+schema+".position (applied VARCHAR, time BIGINT)",
		"CREATE TABLE "+schema+".tables (id VARCHAR, entry VARCHAR)",
		createChunks(schema),
		"INSERT INTO "+schema+".position VALUES ('', 0)",
		"CREATE SCHEMA IF NOT EXISTS "+ident(alias)+".public",
	); err != nil {
		c.rollback()
		return err
	}
	err := c.exec(ctx, "INSERT INTO "+schema+".meta VALUES ('format', ?), ('name', ?), ('integration', ?), ('source_arn', ?), ('source_database', ?)",
		fmt.Sprint(metaFormat), spec.Name, string(spec.Integration), spec.SourceARN, spec.SourceDatabase)
	if err == nil {
		err = c.exec(ctx, "COMMIT")
	}
	if err != nil {
		c.rollback()
	}
	return err
}

// readSpec returns what a database says that it is; nil if it says nothing.
// One of an older format is upgraded.
func readSpec(ctx context.Context, c *conn, alias string) (*penstock.DatabaseSpec, error) {
	// duckdb_tables() would look at those of all databases, again for each.
	rows, err := c.texts(ctx, "SELECT key, value FROM "+ident(alias)+"."+metaSchema+".meta")
	if ee := new(engineError); errors.As(err, &ee) && ee.class == "Catalog" {
		return nil, nil // there is no such table
	}
	if err != nil {
		return nil, err
	}
	values := make(map[string]string)
	for _, r := range rows {
		values[r[0]] = r[1]
	}
	if err := upgrade(ctx, c, alias, values["format"]); err != nil {
		return nil, err
	}
	return &penstock.DatabaseSpec{Name: values["name"], Integration: penstock.IntegrationID(values["integration"]),
		SourceARN: values["source_arn"], SourceDatabase: values["source_database"]}, nil
}

// setIntegration records to whom a database belongs, "" for nobody.
func setIntegration(ctx context.Context, c *conn, alias string, id penstock.IntegrationID) error {
	return c.exec(ctx, "UPDATE "+ident(alias)+"."+metaSchema+".meta SET value = ? WHERE key = 'integration'", string(id))
}

// entry is what a destination remembers of one table, and how it is stored.
type entry struct {
	State   penstock.TableState `json:"state"`
	Reason  string              `json:"reason,omitempty"`
	Changed time.Time           `json:"changed"`
	Bad     penstock.BadValues  `json:"bad_columns,omitempty"`
	BadOnce int64               `json:"bad_values,omitempty"` // as counted by a version that did not tell columns apart
	Join    penstock.Snapshot   `json:"join,omitempty"`

	Known    storedShape `json:"known"` // the shape as last told
	Readable *version    `json:"readable,omitempty"`
	Hidden   *version    `json:"hidden,omitempty"`
	Loads    int         `json:"loads,omitempty"` // hidden versions ever made
	Shown    string      `json:"shown,omitempty"` // the view of Hidden; see expose.go

	History bool `json:"history,omitempty"` // in history mode
	Left    bool `json:"left,omitempty"`    // a table of the past: it is nobody's but its readers'

	// Of a load that is kept if it breaks, see Destination.Keep.
	Kept  penstock.Snapshot `json:"kept,omitempty"`  // what its chunks show together
	At    penstock.Position `json:"at,omitempty"`    // that was stored then
	Mixed bool              `json:"mixed,omitempty"` // Hidden has chunks of several snapshots
}

// resumable reports whether the hidden version can be gone on with.
func (e *entry) resumable(applied penstock.Position) bool {
	return e.Hidden != nil && e.Join == "" && e.Kept != "" && e.At == applied && e.State == penstock.TableResyncInitiated
}

// noLoad takes away what is remembered of a hidden version.
func (e *entry) noLoad() {
	e.Hidden, e.Join, e.Kept, e.At, e.Mixed = nil, "", "", "", false
}

// version is a version of a table: a real table of the engine.
type version struct {
	Shape   storedShape `json:"shape"`
	Schema  string      `json:"schema"` // as stored
	Table   string      `json:"table"`
	Columns []string    `json:"columns"`

	History *historyTables `json:"history,omitempty"` // nil unless it is in history mode
}

// current returns the version that rows go to, nil if there is none.
func (e *entry) current() *version {
	if e.Hidden != nil {
		return e.Hidden
	}
	return e.Readable
}

func (e *entry) setState(s penstock.TableState, reason string) {
	if e.State != s || e.Reason != reason {
		e.Changed = time.Now().UTC().Truncate(time.Microsecond)
	}
	e.State, e.Reason = s, reason
}

// clone returns a copy to be changed; versions are never changed in place.
func (e *entry) clone() *entry {
	c := *e
	c.Bad = e.Bad.Clone()
	return &c
}

func (e *entry) encode() string {
	b, err := json.Marshal(e)
	if err != nil {
		panic("duckdbtarget: " + err.Error()) // strings and numbers only
	}
	return string(b)
}

func decodeEntry(text string) (*entry, error) {
	e := &entry{}
	if err := json.Unmarshal([]byte(text), e); err != nil {
		return nil, penstock.Errorf(penstock.KindInternal, "read a table's metadata: %w", err)
	}
	e.Bad.Count(0, e.BadOnce) // no column has that number
	e.BadOnce = 0
	return e, nil
}

// storedShape is a penstock.Table in the form in which it is written to disk,
// which the code's own names and numbers do not change.
type storedShape struct{ penstock.Table }

type diskShape struct {
	ID        penstock.TableID `json:"id"`
	Schema    string           `json:"schema"`
	Name      string           `json:"name"`
	Identity  string           `json:"identity"`
	Key       []int            `json:"key,omitempty"`
	Columns   []diskColumn     `json:"columns"`
	Parts     string           `json:"parts,omitempty"`
	Missed    int64            `json:"missed,omitempty"`
	Published string           `json:"published,omitempty"`
	Stored    diskStorage      `json:"stored,omitzero"`
}

type diskStorage struct {
	File    string `json:"file,omitempty"`
	Columns string `json:"columns,omitempty"`
	Labels  string `json:"labels,omitempty"`
}

type diskColumn struct {
	ID         penstock.ColumnID `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	SourceType string            `json:"source_type,omitempty"`
	NotNull    bool              `json:"not_null,omitempty"`
}

var identityNames = map[penstock.Identity]string{
	penstock.IdentityNone: "none", penstock.IdentityKey: "key", penstock.IdentityFull: "full",
}

func (s storedShape) MarshalJSON() ([]byte, error) {
	d := diskShape{ID: s.ID, Schema: s.Schema, Name: s.Name, Identity: identityNames[s.Identity], Key: s.Key, Parts: s.Parts, Missed: s.Missed, Published: s.Published, Stored: diskStorage(s.Stored)}
	for _, c := range s.Columns {
		d.Columns = append(d.Columns, diskColumn{c.ID, c.Name, c.Type.String(), c.SourceType, c.NotNull})
	}
	return json.Marshal(d)
}

func (s *storedShape) UnmarshalJSON(b []byte) error {
	var d diskShape
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	s.Table = penstock.Table{ID: d.ID, Schema: d.Schema, Name: d.Name, Key: d.Key, Parts: d.Parts, Missed: d.Missed, Published: d.Published, Stored: penstock.Storage(d.Stored)}
	for id, name := range identityNames {
		if name == d.Identity {
			s.Identity = id
		}
	}
	for _, c := range d.Columns {
		t, err := parseType(c.Type)
		if err != nil {
			return err
		}
		s.Columns = append(s.Columns, penstock.Column{ID: c.ID, Name: c.Name, Type: t, SourceType: c.SourceType, NotNull: c.NotNull})
	}
	return nil
}

// parseType is the reverse of penstock.Type.String.
func parseType(text string) (penstock.Type, error) {
	if strings.HasPrefix(text, "decimal(") {
		t := penstock.Type{Kind: penstock.TypeDecimal}
		_, err := fmt.Sscanf(text, "decimal(%d,%d)", &t.Precision, &t.Scale)
		return t, err
	}
	for k := penstock.TypeBool; k <= penstock.TypeJSON; k++ {
		if t := (penstock.Type{Kind: k}); t.String() == text && k != penstock.TypeDecimal {
			return t, nil
		}
	}
	return penstock.Type{}, fmt.Errorf("no type %q", text)
}
