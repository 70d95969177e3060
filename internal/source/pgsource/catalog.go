package pgsource

import (
	"cmp"
	"context"
	"fmt"
	"hash"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// relation is a table as the catalog has it now, with what the driver needs
// beyond the vocabulary's Table.
type relation struct {
	table    penstock.Table
	oid      uint32
	kind     string // pg_class.relkind
	logged   bool
	owned    bool   // by the role we are connected as
	owner    string // "" if that is a superuser
	readable bool
	identity string              // pg_class.relreplident
	left     []string            // columns that cannot be carried, with the reason
	computed []penstock.ColumnID // generated columns that the stream does not have
	virtual  bool                // it has virtual generated columns
	told     bool                // by the event trigger, completely
	locked   bool                // so that it could not be looked at in full
	keyed    bool                // it has a key, if not one that the stream has
	deferred bool                // its primary key is DEFERRABLE, so that it is no replica identity
	unlike   string              // a partition, quoted, that does not log the key; "" if none
	// unpublished is what has updates and deletes published, where a publication
	// that somebody prepared leaves them out.
	unpublished string
	unfull      string // a partition, quoted, that does not log whole rows
}

// identityNames selects the names of the columns in the index that is the
// replica identity of the relation %[1]s, or its primary key, as an array.
const identityNames = `SELECT array_agg(a.attname ORDER BY a.attname) AS names
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts-1])
    WHERE i.indrelid = %[1]s.oid AND i.indisvalid AND i.indimmediate
      AND CASE %[1]s.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END`

// leavesOf selects the leaves of the partitioned table %s, as relid, from the
// catalog alone: pg_partition_tree waits for whoever has locked one of them.
// since is another whenever a leaf, or what it is in, has been attached anew;
// leaving are those that DETACH … CONCURRENTLY has hidden, and not let go yet.
const leavesOf = `WITH RECURSIVE tree(relid, since, leaving) AS (
    SELECT h.inhrelid, h.xmin::text, COALESCE((to_jsonb(h) ->> 'inhdetachpending')::bool, false) FROM pg_inherits h WHERE h.inhparent = %s
    UNION ALL
    SELECT i.inhrelid, tree.since || '.' || i.xmin, tree.leaving OR COALESCE((to_jsonb(i) ->> 'inhdetachpending')::bool, false)
    FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid)
  SELECT relid, since, leaving FROM tree WHERE EXISTS (SELECT FROM pg_class x WHERE x.oid = tree.relid AND x.relkind = 'r')`

// relationQuery: what is logged of a changed row, and whether the server
// refuses a change, is decided by the partition that the row is in, not by the
// partitioned table. unlike is a partition that does not log the table's key, or
// would not be updated if it were published (see unpublishable); unfull one that
// does not log whole rows.
var relationQuery = `
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence = 'p', c.relreplident::text,
       pg_has_role(c.relowner, 'USAGE'), COALESCE((SELECT o.rolname::text FROM pg_roles o WHERE o.oid = c.relowner AND NOT o.rolsuper), ''),
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
       COALESCE((SELECT (i.indkey::int2[])[0:i.indnkeyatts-1] FROM pg_index i
                 WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
                   AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
                 LIMIT 1), '{}'),
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate),
       COALESCE(parts.names, ''), COALESCE(parts.unlike, ''), COALESCE(parts.unfull, ''), c.relfilenode::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT string_agg(l.oid || '/' || pg_relation_filenode(l.oid) || '/' || t.since, ' ' ORDER BY l.oid) AS names,
         min(l.oid::regclass::text) FILTER (WHERE NOT COALESCE(CASE l.relreplident
           WHEN 'f' THEN NOT EXISTS (SELECT FROM pg_attribute v WHERE v.attrelid = l.oid AND v.attgenerated = 'v' AND NOT v.attisdropped)
           WHEN 'n' THEN false ELSE lk.names = ck.names END, false)) AS unlike,
         min(l.oid::regclass::text) FILTER (WHERE l.relreplident <> 'f') AS unfull
  FROM (` + fmt.Sprintf(leavesOf, "CASE c.relkind WHEN 'p' THEN c.oid END") + `) t JOIN pg_class l ON l.oid = t.relid
  CROSS JOIN LATERAL (` + fmt.Sprintf(identityNames, "l") + `) lk CROSS JOIN LATERAL (` + fmt.Sprintf(identityNames, "c") + `) ck
  ) parts
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND (NOT c.relispartition OR c.oid = ANY($1)) AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname`

// relationFields names the columns of relationQuery.
const relationFields = `oid, schema, name, kind, logged, identity, owned, owner, readable, key, deferred, parts, unlike, unfull, file`

// attributeFields names the columns of attributeQuery.
const attributeFields = `relation, number, name, typ, typmod, not_null, generated, defined`

// attributeQuery: defined is another whenever a column is given a type, and be it
// the one that it has. Its default is made anew by that too, and says so better:
// VACUUM FULL changes the catalog's row of a column that was added with one.
const attributeQuery = `
SELECT a.attrelid, a.attnum::int4, a.attname::text, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated <> '', COALESCE(d.oid::text, 'x' || a.xmin::text)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum`

// relations returns everything in the current database that looks like a
// table and that keep accepts, with columns for those that can be carried. Of
// partitions it returns those that are asked for. What is dropped while it looks it
// looks for again: another table, which has come with the same transaction, may have
// its name.
func relations(ctx context.Context, conn *pgx.Conn, types *typeCache, keep func(schema, name string) bool, partitions ...uint32) ([]relation, error) {
	for try := 1; ; try++ {
		out, gone, err := relationsOnce(ctx, conn, types, keep, partitions...)
		if err != nil || !gone || try == mostLooks {
			return out, err
		}
	}
}

// mostLooks bounds how often relations looks, where tables come and go all the time.
const mostLooks = 5

// relationsOnce reports as gone that a table was dropped meanwhile.
func relationsOnce(ctx context.Context, conn *pgx.Conn, types *typeCache, keep func(schema, name string) bool, partitions ...uint32) (out []relation, gone bool, err error) {
	rows, err := conn.Query(ctx, relationQuery, append([]uint32{}, partitions...))
	if err != nil {
		return nil, false, err
	}
	keys := map[uint32][]int16{}
	for rows.Next() {
		var r relation
		var key []int16
		var file int64
		var readable *bool // null if it has been dropped since the statement began
		if err := rows.Scan(&r.oid, &r.table.Schema, &r.table.Name, &r.kind, &r.logged, &r.identity, &r.owned, &r.owner, &readable, &key, &r.deferred, &r.table.Parts, &r.unlike, &r.unfull, &file); err != nil {
			return nil, false, err
		}
		if readable == nil {
			gone = true
			continue
		}
		if keep(r.table.Schema, r.table.Name) {
			r.readable = *readable
			r.table.ID = tableID(r.oid)
			r.table.Stored.File = strconv.FormatInt(file, 10)
			keys[r.oid] = key
			out = append(out, r)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, false, err
	}
	if err := fillColumns(ctx, conn, types, out); err != nil {
		return nil, false, err
	}
	files, err := filesOf(ctx, conn, slices.DeleteFunc(slices.Clone(out), func(r relation) bool { return !r.carriable() }))
	if err != nil {
		return nil, false, err
	}
	for i := range out {
		r := &out[i]
		r.setIdentity(keys[r.oid], serverMajor(conn.PgConn()))
		file, there := files[r.oid]
		gone = gone || !there && r.carriable() && len(r.table.Columns) == 0
		if file != r.table.Stored.File {
			r.table.Stored.File = "" // its columns may be those of either
		}
	}
	return out, gone, nil
}

// filesOf returns where the tables are stored now, of those that are there. One that
// has been stored anew since a statement before saw it may have got other columns by
// that, which a statement between them has seen or has not.
func filesOf(ctx context.Context, conn *pgx.Conn, rels []relation) (map[uint32]string, error) {
	oids := make([]uint32, len(rels))
	for i := range rels {
		oids[i] = rels[i].oid
	}
	rows, err := conn.Query(ctx, `SELECT oid, relfilenode::int8 FROM pg_class WHERE oid = ANY($1)`, oids)
	if err != nil {
		return nil, err
	}
	files := make(map[uint32]string, len(rels))
	var oid uint32
	var file int64
	_, err = pgx.ForEachRow(rows, []any{&oid, &file}, func() error {
		files[oid] = strconv.FormatInt(file, 10)
		return nil
	})
	return files, err
}

type attribute struct {
	relation  uint32
	number    int32
	name      string
	typ       uint32
	typmod    int32
	notNull   bool
	generated bool
	defined   string
}

func fillColumns(ctx context.Context, conn *pgx.Conn, types *typeCache, rels []relation) error {
	oids := make([]uint32, 0, len(rels))
	byOID := make(map[uint32]*relation, len(rels))
	for i := range rels {
		if rels[i].carriable() {
			oids = append(oids, rels[i].oid)
			byOID[rels[i].oid] = &rels[i]
		}
	}
	rows, err := conn.Query(ctx, attributeQuery, oids)
	if err != nil {
		return err
	}
	attributes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a attribute, err error) {
		err = row.Scan(&a.relation, &a.number, &a.name, &a.typ, &a.typmod, &a.notNull, &a.generated, &a.defined)
		return a, err
	})
	if err != nil {
		return err
	}
	need := make([]typeRef, len(attributes))
	for i, a := range attributes {
		need[i] = typeRef{a.typ, a.typmod}
	}
	types.forgetOwn()
	if err := types.resolve(ctx, conn, need); err != nil {
		return err
	}
	return fillGenerated(ctx, conn, types, byOID, addColumns(byOID, attributes, types))
}

// addColumns gives relations their columns. It returns those that have
// generated ones.
func addColumns(byOID map[uint32]*relation, attributes []attribute, types *typeCache) (generated []uint32) {
	defined, labels := map[*relation]hash.Hash64{}, map[*relation][]string{}
	for _, a := range attributes {
		r := byOID[a.relation]
		if a.generated && !slices.Contains(generated, a.relation) {
			generated = append(generated, a.relation)
		}
		info := types.info(typeRef{a.typ, a.typmod})
		r.table.Columns = append(r.table.Columns, penstock.Column{
			ID: penstock.ColumnID(a.number), Name: a.name, Type: mapType(info).typ, SourceType: info.name, NotNull: a.notNull,
		})
		if defined[r] == nil {
			defined[r] = fnv.New64a()
		}
		fmt.Fprintf(defined[r], "%d %s\n", a.number, a.defined)
		if info.labels != "" {
			labels[r] = append(labels[r], strings.Fields(info.labels)...)
		}
	}
	for r, h := range defined {
		slices.Sort(labels[r])
		r.table.Stored.Columns, r.table.Stored.Labels = fmt.Sprintf("%x", h.Sum64()), strings.Join(slices.Compact(labels[r]), " ")
	}
	return generated
}

// carriable reports whether the relation is of a kind that logical
// replication carries.
func (r *relation) carriable() bool { return (r.kind == "r" || r.kind == "p") && r.logged }

// setIdentity decides by what changed rows are found: by the primary key or
// the index named as replica identity, else by the whole row where the source
// logs it.
func (r *relation) setIdentity(key []int16, major int) {
	t := &r.table
	if r.identity == "n" || r.unpublishable(major) {
		return
	}
	r.keyed = len(key) > 0
	for _, number := range key {
		i := slices.IndexFunc(t.Columns, func(c penstock.Column) bool { return c.ID == penstock.ColumnID(number) })
		if i < 0 || slices.Contains(r.computed, penstock.ColumnID(number)) { // not in the rows that name others
			t.Key = nil
			break
		}
		t.Key = append(t.Key, i)
	}
	slices.Sort(t.Key)
	switch {
	case len(t.Key) > 0 && r.unlike == "":
		t.Identity = penstock.IdentityKey
	case len(t.Key) > 0:
		t.Key = nil
	case r.identity == "f" && r.unfull == "":
		t.Identity = penstock.IdentityFull
	}
}

// unpublishable reports whether the server would refuse to update the table if
// it were published for that: whole rows are its identity, and virtual columns,
// which are in no publication, are part of them.
func (r *relation) unpublishable(major int) bool {
	return r.identity == "f" && r.virtual && major >= publishesGenerated
}

// unidentified returns the partition for whose sake a partitioned table that
// has a replica identity of its own counts as one without; "" if there is none.
func (r *relation) unidentified() string {
	switch {
	case r.table.Identity != penstock.IdentityNone || r.identity == "n":
		return ""
	case r.identity == "f":
		return cmp.Or(r.unlike, r.unfull)
	}
	return r.unlike
}

func tableID(oid uint32) penstock.TableID {
	return penstock.TableID(strconv.FormatUint(uint64(oid), 10))
}

func tableOID(id penstock.TableID) (uint32, error) {
	n, err := strconv.ParseUint(string(id), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a table of PostgreSQL", id)
	}
	return uint32(n), nil
}

// typeRef names a type as attributes and Relation messages do.
type typeRef struct {
	oid    uint32
	typmod int32
}

// typeInfo is a type with domains resolved to what they are based on.
type typeInfo struct {
	name      string // as format_type prints it
	output    string // the output function, quoted
	printed   string // the type that the output function takes, if a value has to be cast to it
	element   string // of an array: the name of the elements' type, domains resolved, without modifier
	delimiter string // of an array: what is between elements
	labels    string // words by which values look as they do, see penstock.Storage
}

// typeCache remembers types of one database, and generated columns. It is not safe for concurrent use.
type typeCache struct {
	known map[typeRef]typeInfo

	generated map[uint32][]generatedColumn // by table, as of the last look
	verdicts  map[string]verdict           // by statement
	doubt     *atomic.Bool                 // a verdict has proved wrong; set from any goroutine
}

func newTypeCache() *typeCache {
	return &typeCache{known: map[typeRef]typeInfo{}, doubt: new(atomic.Bool)}
}

// forStream returns a copy for a stream, which has a goroutine of its own.
func (c *typeCache) forStream() *typeCache {
	out := newTypeCache()
	if c != nil {
		maps.Copy(out.known, c.known)
		out.generated, out.doubt = c.generated, c.doubt
	}
	return out
}

// info returns a resolved type; the zero typeInfo if it is not known.
func (c *typeCache) info(ref typeRef) typeInfo { return c.known[ref] }

// typeFields names the columns of typeQuery.
const typeFields = `oid, typmod, name, output, printed, element, delimiter, labels`

// typeQuery: a value of an enum is stored as the label's number, one of a
// composite type as its attributes are, whatever these are later.
const typeQuery = `
WITH RECURSIVE w AS (
  SELECT q.oid, q.typmod, q.oid AS base, q.typmod AS basemod FROM unnest($1::oid[], $2::int4[]) AS q(oid, typmod)
  UNION ALL
  SELECT w.oid, w.typmod, t.typbasetype, t.typtypmod FROM w JOIN pg_type t ON t.oid = w.base WHERE t.typtype = 'd')
SELECT w.oid, w.typmod, format_type(w.base, w.basemod), quote_ident(n.nspname) || '.' || quote_ident(p.proname),
  CASE WHEN o.oid = 'anyenum'::regtype THEN format_type(t.oid, NULL) -- which takes no domain
    WHEN p.proargtypes[0] <> t.oid AND o.typtype <> 'p' THEN format_type(o.oid, NULL) ELSE '' END, COALESCE(e.name, ''), COALESCE(e.delimiter, ''),
  CASE WHEN t.oid >= 16384 THEN COALESCE(l.words, '') ELSE '' END
FROM w JOIN pg_type t ON t.oid = w.base JOIN pg_proc p ON p.oid = t.typoutput JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type o ON o.oid = p.proargtypes[0]
LEFT JOIN LATERAL (
  WITH RECURSIVE e AS (
    SELECT t.typelem AS oid
    UNION ALL
    SELECT x.typbasetype FROM e JOIN pg_type x ON x.oid = e.oid WHERE x.typtype = 'd')
  SELECT format_type(x.oid, NULL) AS name, a.typdelim::text AS delimiter
  FROM e JOIN pg_type x ON x.oid = e.oid CROSS JOIN pg_type a WHERE x.typtype <> 'd' AND a.oid = t.typelem) e
  ON t.typelem <> 0 AND EXISTS (SELECT FROM pg_type x WHERE x.oid = t.typelem AND x.typarray = t.oid)
LEFT JOIN LATERAL (
  WITH RECURSIVE u AS (
    SELECT t.oid
    UNION
    SELECT x.oid FROM u CROSS JOIN LATERAL (SELECT y.* FROM pg_type y WHERE y.oid = u.oid OFFSET 0) y CROSS JOIN LATERAL ( -- OFFSET 0: by its index
      SELECT y.typelem UNION ALL SELECT y.typbasetype
      UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL SELECT g.rngsubtype FROM pg_range g WHERE g.rngtypid = y.oid OR (to_jsonb(g) ->> 'rngmultitypid')::oid = y.oid) x(oid)
    WHERE x.oid >= 16384)
  SELECT string_agg(q.word, ' ') AS words FROM u CROSS JOIN LATERAL (
    SELECT to_hex(hashtextextended(v.oid || ' ' || v.enumlabel, 0)) AS word FROM pg_enum v WHERE v.enumtypid = u.oid
    UNION ALL
    SELECT to_hex(hashtextextended(u.oid || ' ' || string_agg(a.attnum || '/' || a.atttypid, ' ' ORDER BY a.attnum), 0))
    FROM pg_type y JOIN pg_attribute a ON a.attrelid = y.typrelid WHERE y.oid = u.oid AND a.attnum > 0 AND NOT a.attisdropped HAVING count(*) > 0) q) l
  ON t.oid >= 16384
WHERE t.typtype <> 'd'`

// byName returns the types that are known, by name.
func (c *typeCache) byName() map[string]typeInfo {
	out := make(map[string]typeInfo, len(c.known))
	for _, info := range c.known {
		out[info.name] = info
	}
	return out
}

// firstOwnType is the first OID that a type which is not the server's own has.
const firstOwnType = 16384

// forgetOwn forgets the types that may have another name by now.
func (c *typeCache) forgetOwn() {
	maps.DeleteFunc(c.known, func(r typeRef, _ typeInfo) bool { return r.oid >= firstOwnType })
}

// resolve looks up the types that are not known yet. Types that no longer
// exist stay unknown.
func (c *typeCache) resolve(ctx context.Context, conn *pgx.Conn, refs []typeRef) error {
	var oids []uint32
	var typmods []int32
	seen := map[typeRef]bool{}
	for _, r := range refs {
		if _, ok := c.known[r]; ok || seen[r] {
			continue
		}
		seen[r] = true
		if i, ok := builtIn.Load(r); ok {
			c.known[r] = i.(typeInfo)
			continue
		}
		oids = append(oids, r.oid)
		typmods = append(typmods, r.typmod)
	}
	if len(oids) == 0 {
		return nil
	}
	rows, err := conn.Query(ctx, typeQuery, oids, typmods)
	if err != nil {
		return fmt.Errorf("look up types: %w", err)
	}
	var r typeRef
	var i typeInfo
	_, err = pgx.ForEachRow(rows, []any{&r.oid, &r.typmod, &i.name, &i.output, &i.printed, &i.element, &i.delimiter, &i.labels}, func() error {
		c.known[r] = i
		if r.oid < firstGenbki {
			builtIn.Store(r, i)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look up types: %w", err)
	}
	return nil
}

// builtIn are typeInfo by typeRef, as any connection has looked them up: types whose OID
// is assigned by hand are the same in every server (src/include/access/transam.h,
// FirstGenbkiObjectId). A server that has just begun a session plans typeQuery for 6 ms,
// a tenth of all that it does until a stream has started.
var builtIn sync.Map

const firstGenbki = 10000
