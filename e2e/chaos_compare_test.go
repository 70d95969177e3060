package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// shownTable is a table of the source as the warehouse has to show it.
type shownTable struct {
	schema, name string
	columns      []shownColumn
	identity     string // d, n, f, i
	hasKey       bool
	parted       bool
}

type shownColumn struct{ name, kind, category string }

func (t *shownTable) String() string { return pgx.Identifier{t.schema, t.name}.Sanitize() }

// shownTables reads from the catalog what has to be shown.
func shownTables(ctx context.Context, source *pgx.Conn) (tables []*shownTable, err error) {
	rows, err := source.PgConn().Exec(ctx, `SELECT n.nspname, c.relname, c.relreplident,
			EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary AND i.indimmediate AND c.relreplident = 'd' OR i.indisreplident AND c.relreplident = 'i')),
			a.attname, format_type(a.atttypid, a.atttypmod), y.typcategory, c.relkind = 'p'
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_type y ON y.oid = a.atttypid
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
		AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE 'penstock\_%'
		ORDER BY 1, 2, a.attnum`).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, r := range rows[0].Rows {
		schema, name := string(r[0]), string(r[1])
		if n := len(tables); n == 0 || tables[n-1].schema != schema || tables[n-1].name != name {
			tables = append(tables, &shownTable{schema: schema, name: name, identity: string(r[2]), hasKey: string(r[3]) == "t", parted: string(r[7]) == "t"})
		}
		t := tables[len(tables)-1]
		t.columns = append(t.columns, shownColumn{string(r[4]), string(r[5]), string(r[6])})
	}
	return tables, nil
}

// atSource returns how a table is read at the source.
func (t *shownTable) atSource() string {
	var list []string
	for _, c := range t.columns {
		name := chaosQuote(c.name)
		switch {
		case strings.HasSuffix(c.kind, "[]"):
			name = "to_jsonb(" + name + ")"
		case chaosTypes[c.kind] != nil && chaosTypes[c.kind].source != "":
			name = fmt.Sprintf(chaosTypes[c.kind].source, name)
		}
		list = append(list, name)
	}
	from := " FROM ONLY " // and not what inherits from it
	if t.parted {
		from = " FROM "
	}
	return "SELECT " + strings.Join(list, ", ") + from + t.String()
}

// inWarehouse returns how a table is read in the warehouse. A column in whose
// way another one stands, since the engine compares names without case, is
// stored under its name, a tilde and a number.
func (t *shownTable) inWarehouse(ctx context.Context, conn *pgx.Conn) (string, error) {
	rows, err := conn.Query(ctx, "SELECT * FROM "+t.String()+" LIMIT 0")
	if err != nil {
		return "", err
	}
	stored := map[string]bool{}
	for _, f := range rows.FieldDescriptions() {
		stored[f.Name] = true
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return "", err
	}
	var list []string
	for _, c := range t.columns {
		name := c.name
		for n := 1; !stored[name] && n < 9; n++ {
			name = fmt.Sprintf("%s~%d", c.name, n)
		}
		if !stored[name] {
			return "", fmt.Errorf("there is no column %q among %v", c.name, slices.Sorted(maps.Keys(stored)))
		}
		delete(stored, name)
		list = append(list, chaosQuote(name))
	}
	if len(stored) > 0 {
		return "", fmt.Errorf("there are columns too many: %v", slices.Sorted(maps.Keys(stored)))
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + t.String(), nil
}

// shownRows reads a query's rows as text, a line each, sorted.
func shownRows(ctx context.Context, conn *pgx.Conn, t *shownTable, sql string) ([]string, error) {
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	var out []string
	for _, row := range results[len(results)-1].Rows {
		var b strings.Builder
		for i, v := range row {
			if i > 0 {
				b.WriteString(" | ")
			}
			if v == nil {
				b.WriteString("∅")
				continue
			}
			text := string(v)
			if strings.HasSuffix(t.columns[i].kind, "[]") {
				text = strings.ReplaceAll(text, ", ", ",")
			}
			b.WriteString(text)
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out, nil
}

// unlike describes how two sorted lists of rows differ; "" if they do not.
func unlike(want, got []string) string {
	var missing, extra []string
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case j == len(got) || i < len(want) && want[i] < got[j]:
			missing = append(missing, want[i])
			i++
		case i == len(want) || got[j] < want[i]:
			extra = append(extra, got[j])
			j++
		default:
			i, j = i+1, j+1
		}
	}
	if len(missing)+len(extra) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows at the source, %d in the warehouse; %d missing, %d too many", len(want), len(got), len(missing), len(extra))
	for _, m := range missing[:min(4, len(missing))] {
		fmt.Fprintf(&b, "\n\t- %.700s", m)
	}
	for _, e := range extra[:min(4, len(extra))] {
		fmt.Fprintf(&b, "\n\t+ %.700s", e)
	}
	return b.String()
}

// settle waits until the warehouse has what the source has, all of it and
// nothing else. Nobody writes meanwhile.
func (c *chaosRun) settle(ctx context.Context) {
	source, err := c.server.Conn(ctx, c.database)
	if err != nil {
		c.t.Fatal(err)
	}
	defer source.Close(context.Background())
	tables, err := shownTables(ctx, source)
	if err != nil {
		c.t.Fatal(err)
	}
	want := map[string][]string{}
	for _, t := range tables {
		if want[t.String()], err = shownRows(ctx, source, t, t.atSource()); err != nil {
			c.t.Fatal(err)
		}
	}
	began := time.Now()
	moved, last := began, ""
	left := slices.Clone(tables)
	var differences []string
	for {
		c.mustRun()
		differences = nil
		left = slices.DeleteFunc(left, func(t *shownTable) bool {
			d := c.differs(ctx, t, want[t.String()])
			if d != "" {
				differences = append(differences, t.String()+": "+d)
			}
			return d == ""
		})
		if len(left) == 0 {
			if differences = append(c.strays(ctx, tables), c.miscounted(ctx, tables)...); len(differences) == 0 {
				break
			}
		}
		if now := strings.Join(differences, "\n"); now != last {
			moved, last = time.Now(), now
		}
		if time.Since(moved) > settleLimit || time.Since(began) > 10*settleLimit {
			break
		}
		c.pause(ctx)
	}
	rows := 0
	for _, w := range want {
		rows += len(w)
	}
	if len(differences) > 0 {
		state, _ := c.states(ctx)
		c.violation("source and warehouse differ %v after the last write:\n%s\nstates: %s", time.Since(began).Round(time.Second), strings.Join(differences, "\n"), strings.Join(state, "\n"))
		return
	}
	if time.Since(began) > settleLimit/4 {
		c.t.Logf("the last to differ: %.2000s", last)
	}
	c.t.Logf("%d tables with %d rows are equal after %v", len(tables), rows, time.Since(began).Round(time.Millisecond))
}

// settleLimit is how long the warehouse may take to get any further.
const settleLimit = 40 * time.Second

func (c *chaosRun) differs(ctx context.Context, t *shownTable, want []string) string {
	conn, err := c.p.connect(ctx, c.database)
	if err != nil {
		return err.Error()
	}
	defer conn.Close(context.Background())
	sql, err := t.inWarehouse(ctx, conn)
	if err != nil {
		return err.Error()
	}
	got, err := shownRows(ctx, conn, t, sql)
	if err != nil {
		return err.Error()
	}
	return unlike(want, got)
}

// states returns what the warehouse says about its tables.
func (c *chaosRun) states(ctx context.Context) ([]string, error) {
	conn, err := c.p.connect(ctx, "dev")
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.Background())
	return table(ctx, conn, "SELECT schema_name, table_name, table_state, reason FROM svv_integration_table_state WHERE target_database = '"+c.database+"' ORDER BY 1, 2")
}

// strays returns tables that are not in the state that they should be in, or
// that should not be there.
func (c *chaosRun) strays(ctx context.Context, tables []*shownTable) (strays []string) {
	states, err := c.states(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	known := map[string]string{}
	for _, line := range states {
		f := strings.SplitN(line, "|", 4)
		if len(f) < 4 {
			return []string{"a state that is not understood: " + line}
		}
		known[pgx.Identifier{f[0], f[1]}.Sanitize()] = f[2] + " " + f[3]
	}
	for _, t := range tables {
		if s := known[t.String()]; !strings.HasPrefix(s, "Synced") {
			strays = append(strays, fmt.Sprintf("%s is %q", t, s))
		}
		delete(known, t.String())
	}
	for name, s := range known {
		strays = append(strays, fmt.Sprintf("%s is not at the source and %q in the warehouse", name, s))
	}
	return strays
}
