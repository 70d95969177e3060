package pgsource

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An update of a row does not send its large values that it left as they were.
// If an expression needs one of them together with one that may have changed,
// it cannot be computed from what came. Then the generated columns are read
// from the row as it is in the table now, which is the row that came if the
// transaction that wrote it is. If it is another one, or the row is not there,
// the table has to be loaded again: with REPLICA IDENTITY FULL, which sends
// everything, that does not happen.

// reread returns the computed columns of the rows that wait to be read, by
// their index, without those that are not in the table any more as they came.
func (p *computer) reread(ctx context.Context, c *capture, t *streamTable) (map[int][]rawValue, error) {
	w := t.computing
	rows := []byte{'['}
	for i := range w.rows {
		if w.rows[i].key == nil {
			continue
		}
		rows = fmt.Appendf(rows, `{"n":%d`, i)
		for k, key := range w.rows[i].key {
			rows = fmt.Appendf(rows, `,"k%d":`, k+1)
			rows = appendElement(rows, []byte(key), styleString)
		}
		rows = append(rows, '}', ',')
	}
	if len(rows) == 1 {
		return nil, nil
	}
	rows[len(rows)-1] = ']'
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(ctx, c); err != nil {
		return nil, err
	}
	values, err := p.query(ctx, w.rereadStatement(t), rows, 2+len(w.columns))
	if err != nil && sqlState(err) == "" {
		return nil, classify(err, "read generated columns of "+t.table.String()+" from "+c.where())
	}
	if err != nil { // the table is not what it was, or not ours to read any more
		return nil, nil
	}
	out := map[int][]rawValue{}
	for _, v := range values {
		i, err1 := strconv.Atoi(string(v[0].text))
		xmin, err2 := strconv.ParseUint(string(v[1].text), 10, 32)
		if err1 == nil && err2 == nil && i < len(w.rows) && uint32(xmin) == w.rows[i].xid {
			out[i] = v[2:]
		}
	}
	w.supersede(out)
	return out, nil
}

// supersede gives a row the values of a later one with its key that waits
// beside it: it is replaced in the same batch, so that they are never seen.
func (w *computing) supersede(read map[int][]rawValue) {
	for i := range w.rows {
		if w.rows[i].key == nil || read[i] != nil {
			continue
		}
		for later := i + 1; later < len(w.rows); later++ {
			if read[later] != nil && slices.Equal(w.rows[i].key, w.rows[later].key) {
				read[i] = read[later]
				break
			}
		}
	}
}

// rereadStatement reads rows by their keys; not those of a table that has taken
// this one's name meanwhile, nor of one that inherits from it.
func (w *computing) rereadStatement(t *streamTable) string {
	out := []string{"x.n", "t.xmin"}
	for i := range w.columns {
		out = append(out, "t."+quote(w.columns[i].name))
	}
	definitions, conditions := []string{"n int"}, []string{}
	for i, k := range w.keys {
		definitions = append(definitions, fmt.Sprintf("k%d %s", i+1, w.bases[k].typ))
		conditions = append(conditions, fmt.Sprintf("t.%s = x.k%d", quote(w.bases[k].name), i+1))
	}
	if parts, _, _ := strings.Cut(t.table.Parts, generatedParts); strings.TrimSpace(parts) == "" {
		conditions = append(conditions, fmt.Sprintf("t.tableoid = %s", t.table.ID))
	} else {
		conditions = append(conditions, fmt.Sprintf("to_regclass(%s)::oid = %s", literal(quote(t.table.Schema, t.table.Name)), t.table.ID))
	}
	return fmt.Sprintf("SELECT %s FROM json_to_recordset($1::json) AS x(%s) JOIN %s AS t ON %s",
		strings.Join(out, ", "), strings.Join(definitions, ", "), quote(t.table.Schema, t.table.Name), strings.Join(conditions, " AND "))
}
