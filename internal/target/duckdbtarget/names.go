package duckdbtarget

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"penstock"
)

// The engine compares names without ASCII case. A name that another one
// stands in the way of is stored as itself, a tilde and a number.

// fold returns what the engine compares names by.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// numbered returns the n-th name to try for name.
func numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	return name + "~" + strconv.Itoa(n)
}

// freeName returns the first numbered name of which taken, given it folded, does
// not say that it is.
func freeName(name string, taken func(folded string) bool) string {
	n := 0
	for taken(fold(numbered(name, n))) {
		n++
	}
	return numbered(name, n)
}

const fileSuffix = ".duckdb"

// maxFileName is how long a file name may be without its suffix: the file
// system has 255 bytes, of which the engine's own files beside it need some.
const maxFileName = 225

// fileName returns the name of the file of a database. Lower-case letters,
// digits, - and _ stand for themselves, every other byte as % and two digits,
// so that no two databases share a file, whatever the file system folds.
func fileName(name string, n int) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return numbered(b.String(), n) + fileSuffix
}

// parseFileName is the reverse of fileName. It returns ok false for what
// fileName does not make.
func parseFileName(file string) (name string, n int, ok bool) {
	s, ok := strings.CutSuffix(file, fileSuffix)
	if !ok || s == "" {
		return "", 0, false
	}
	if base, num, found := strings.Cut(s, "~"); found {
		var err error
		if n, err = strconv.Atoi(num); err != nil || n < 1 {
			return "", 0, false
		}
		s = base
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", 0, false
		}
		x, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", 0, false
		}
		b = append(b, byte(x))
		i += 2
	}
	name = string(b)
	return name, n, fileName(name, n) == file
}

// isCompanion reports whether a file belongs to the engine's handling of
// another one.
func isCompanion(file string) bool {
	return strings.HasSuffix(file, fileSuffix+".wal") || strings.HasSuffix(file, fileSuffix+".wal.checkpoint") ||
		strings.HasSuffix(file, fileSuffix+".wal.recovery") || strings.Contains(file, fileSuffix+".tmp")
}

var _ penstock.NameKeeper = (*Warehouse)(nil)

// Stored implements penstock.NameKeeper. Tables that are exposed are among them.
func (w *Warehouse) Stored(ctx context.Context, database string) ([]penstock.StoredTable, error) {
	c, db, err := w.reader(ctx, database)
	if c == nil {
		return nil, err
	}
	defer c.close()
	rows, err := c.texts(ctx, "SELECT entry FROM "+ident(db.alias)+"."+metaSchema+".tables")
	if err != nil {
		return nil, w.readFault(err, db, "list stored tables of database %q", database)
	}
	var stored []penstock.StoredTable
	for _, r := range rows {
		e, err := decodeEntry(r[0])
		if err != nil {
			return nil, err
		}
		if v := e.Readable; v != nil {
			stored = append(stored, storedTable(v, v.Table))
		} else if e.Shown != "" {
			stored = append(stored, storedTable(e.Hidden, e.Shown))
		}
	}
	return stored, nil
}

func storedTable(v *version, name string) penstock.StoredTable {
	types := make([]string, len(v.Shape.Columns))
	for i := range types {
		types[i] = sqlType(v.Shape.Columns[i].Type)
	}
	return penstock.StoredTable{Shape: v.Shape.Table, Schema: v.Schema, Table: name, Columns: v.Columns, Types: types}
}
