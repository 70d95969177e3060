package duckdbtarget

import (
	"context"
	"encoding/json"
	"strings"

	"penstock"
)

// maxDepth is how deep the parse may be nested. The engine's own limit on
// expressions is reached long before.
const maxDepth = 20_000

// walk examines the parse of a SELECT, without ever holding it decoded. passing:
// what it finds depends on which tables there are.
func walk(ctx context.Context, parser *conn, tree string) (schemas []schemaName, passing bool, err error) {
	w := walker{dec: json.NewDecoder(strings.NewReader(tree)), ctes: make(map[string]bool)}
	if err := w.value(nil, ""); err != nil {
		return nil, false, err
	}
	if w.statements != 1 {
		return nil, false, onlyOne(w.statements)
	}
	return w.schemas, len(w.odd) > 0, w.files(ctx, parser)
}

type walker struct {
	dec *json.Decoder

	depth      int
	statements int
	ctes       map[string]bool // names of common table expressions
	odd        []string        // names of tables that might be taken for files
	schemas    []schemaName
}

// node is what the police looks at in an object of the parse.
type node struct {
	kind, function, called, schema, catalog, table, key string
	at                                                  float64
}

// value walks the next value of the parse, which stands in parent under name.
func (w *walker) value(parent *node, name string) error {
	if w.depth++; w.depth > maxDepth {
		return &penstock.SQLError{State: "54001", Message: "the statement is nested too deeply"}
	}
	defer func() { w.depth-- }()
	t, err := w.dec.Token()
	if err != nil {
		return refusal("the statement cannot be examined: %v", err)
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			for w.dec.More() {
				if name == "statements" {
					w.statements++
				}
				if err := w.value(parent, name+"[]"); err != nil {
					return err
				}
			}
		} else if err := w.object(parent, name); err != nil {
			return err
		}
		if _, err := w.dec.Token(); err != nil { // the end of it
			return refusal("the statement cannot be examined: %v", err)
		}
	case string:
		if parent != nil {
			parent.set(name, t)
		}
	case float64:
		if parent != nil && name == "query_location" {
			parent.at = t
		}
	}
	return nil
}

func (n *node) set(name, value string) {
	switch name {
	case "type":
		n.kind = value
	case "function_name":
		n.function = fold(value)
	case "schema_name":
		n.schema = fold(value)
	case "catalog_name":
		n.catalog = value
	case "table_name":
		n.table = fold(value)
	case "key":
		n.key = fold(value)
	}
}

func (w *walker) object(parent *node, name string) error {
	n := &node{}
	for w.dec.More() {
		key, err := w.dec.Token()
		if err != nil {
			return refusal("the statement cannot be examined: %v", err)
		}
		if err := w.value(n, key.(string)); err != nil {
			return err
		}
	}
	if name == "function" && parent != nil {
		parent.called = n.function
	}
	if name == "map[]" && n.key != "" { // of cte_map
		w.ctes[n.key] = true
	}
	return w.look(n)
}

// look decides about one node of the parse.
func (w *walker) look(n *node) error {
	if refusedFunctions[n.function] || strings.HasPrefix(n.function, refusedPrefix) {
		return refusal("function %s is not available here", n.function)
	}
	switch n.kind {
	case "TABLE_FUNCTION":
		if !tableFunctions[n.called] {
			return refusal("function %s is not available here", n.called)
		}
	case "BASE_TABLE", "SHOW_REF":
		if n.kind == "SHOW_REF" { // which has it as it was written
			n.table = unquote(n.table)
		}
		switch {
		case n.schema == metaSchema || strings.HasPrefix(n.table, hiddenPrefix) || strings.HasPrefix(n.table, keptPrefix):
			return refusal("%s is not for clients", strings.Trim(n.schema+"."+n.table, "."))
		case refusedViews[n.table] && (n.schema == "" || n.schema == "main"):
			return refusal("%s is not available here", n.table)
		case strings.ContainsAny(n.table, `./\*?:[{`):
			w.odd = append(w.odd, n.table)
		}
		if n.schema != "" && n.catalog == "" && n.at < maxStatement {
			w.schemas = append(w.schemas, schemaName{n.schema, int(n.at)})
		}
	}
	return nil
}

// unquote returns the name that a quoted identifier stands for.
func unquote(name string) string {
	if len(name) < 2 || name[0] != '"' || name[len(name)-1] != '"' {
		return strings.Trim(name, `"`)
	}
	return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
}

// files refuses names of tables that could be names of files, unless there
// are such tables: where there is none the engine looks for a file.
func (w *walker) files(ctx context.Context, parser *conn) error {
	for _, name := range w.odd {
		if w.ctes[name] {
			continue
		}
		rows, err := parser.texts(ctx, "SELECT 'x' FROM duckdb_tables() WHERE lower(table_name) = lower(?)"+
			" UNION ALL SELECT 'x' FROM duckdb_views() WHERE lower(view_name) = lower(?)", name, name)
		if err != nil {
			return sqlError(err)
		}
		if len(rows) == 0 {
			return refusal("there is no table %s, and files are not available here", name)
		}
	}
	return nil
}
