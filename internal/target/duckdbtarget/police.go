package duckdbtarget

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

// police decides what a client's statement may be. Three walls stand behind
// each other:
//
//   - the engine opens no file outside the warehouse's folder, and its
//     configuration is locked (engine.go);
//   - the engine runs the statement in a transaction that cannot write to a
//     destination database (session.go);
//   - here: which statements there are for a client, and which functions. For
//     a SELECT that is decided on the engine's own parse of it. The engine
//     shows no parse of other statements, so they may not contain the name of
//     a forbidden function in any place where it could be one.
//
// What is not known to be harmless is refused.
type police struct {
	parser *conn // for parsing only; used under its lock

	// refused are functions of the engine that clients may not use, in a
	// table's place and elsewhere.
	refused map[string]bool
	word    *regexp.Regexp // finds a use of one of them in any text
}

// tableFunctions are the functions that may stand in a table's place. All
// others of the engine read files, configuration or memory, run SQL out of a
// string, or have an effect.
var tableFunctions = set(`range generate_series generate_subscripts unnest repeat repeat_row json_each json_tree
	regexp_split_to_table test_all_types icu_calendar_names pg_timezone_names histogram histogram_values
	duckdb_tables duckdb_columns duckdb_views duckdb_schemas duckdb_types duckdb_constraints duckdb_indexes
	duckdb_functions duckdb_keywords duckdb_sequences duckdb_dependencies
	pragma_table_info pragma_show pragma_version pragma_collations pragma_platform`)

// refusedFunctions are scalar functions that clients may not use.
var refusedFunctions = set(`json_serialize_plan write_log current_setting getenv stats parse_duckdb_log_message`)

// refusedViews are views of the engine that show paths and configuration.
var refusedViews = set(`duckdb_databases duckdb_logs duckdb_settings duckdb_secrets duckdb_extensions duckdb_variables pragma_database_list`)

// refusedPrefix begins the names of functions that the engine keeps for its
// own plans and does not guard against wrong arguments.
const refusedPrefix = "__internal_"

// set makes a set of words.
func set(words string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// newPolice reads from the engine which functions there are.
func newPolice(ctx context.Context, c *conn) (*police, error) {
	rows, err := c.texts(ctx, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')")
	if err != nil {
		return nil, err
	}
	p := &police{refused: make(map[string]bool)}
	for name := range refusedFunctions {
		p.refused[name] = true
	}
	for _, r := range rows {
		if name := fold(r[0]); !tableFunctions[name] {
			p.refused[name] = true
		}
	}
	names := make([]string, 0, len(p.refused))
	for name := range p.refused {
		names = append(names, regexp.QuoteMeta(name))
	}
	slices.Sort(names)
	// The name, then what may stand between it and its parenthesis. A comment
	// may hide that, so it counts as one.
	p.word = regexp.MustCompile(`(?i)(?:^|[^\pL\pN_$])(` + strings.Join(names, "|") + `|` + refusedPrefix + `\w*)"?[\s\pZ]*(?:\(|/\*|--)`)
	if p.parser, err = c.inst.connect(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *police) close() {
	if p.parser != nil {
		p.parser.close()
	}
}

// verdict is what the police says of a statement that it lets pass.
type verdict struct {
	kind  penstock.StatementKind
	query bool // it is a query: it writes nothing
	// schemas are names of tables that come with a schema and no database.
	schemas []schemaName
}

// schemaName is the schema before a table's name, and where it stands.
type schemaName struct {
	name string
	at   int
}

// refusal is the error for what is not for clients.
func refusal(format string, args ...any) *penstock.SQLError {
	return &penstock.SQLError{State: "42501", Message: fmt.Sprintf(format, args...)}
}

// examine decides about a statement, which must be a single one.
func (p *police) examine(ctx context.Context, sql string) (verdict, error) {
	if strings.ContainsRune(sql, 0) {
		return verdict{}, &penstock.SQLError{State: "42601", Message: "a statement contains a zero byte"}
	}
	words := leadingWords(sql, 5)
	if len(words) > 0 && words[0] == "explain" {
		rest, ok := afterExplain(sql)
		if !ok {
			return verdict{}, refusal("this form of EXPLAIN is not available")
		}
		v, err := p.examine(ctx, rest)
		v.kind, v.schemas = penstock.StatementOther, nil
		return v, err
	}
	tree, perr, err := p.parse(ctx, sql)
	switch {
	case err != nil:
		return verdict{}, err
	case tree != nil:
		schemas, err := p.walk(ctx, tree)
		return verdict{kind: penstock.StatementSelect, query: true, schemas: schemas}, err
	case perr != nil:
		return verdict{}, perr
	}
	return p.examineOther(sql, words)
}

// parse returns the engine's parse of a SELECT, an error of its parser, or
// neither if the statement is another than SELECT.
func (p *police) parse(ctx context.Context, sql string) (tree any, perr *penstock.SQLError, err error) {
	rows, err := p.parser.texts(ctx, "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", sql)
	if err != nil {
		return nil, nil, sqlError(err)
	}
	var out struct {
		Error      bool
		Type       string `json:"error_type"`
		Message    string `json:"error_message"`
		Statements []any
	}
	if err := json.Unmarshal([]byte(rows[0][0]), &out); err != nil {
		return nil, refusal("the statement cannot be examined: %v", err), nil
	}
	switch {
	case !out.Error && len(out.Statements) == 1:
		return out.Statements[0], nil, nil
	case !out.Error && len(out.Statements) == 0:
		return nil, &penstock.SQLError{State: "42601", Message: "the statement is empty"}, nil
	case !out.Error:
		return nil, refusal("only one statement at a time is available here"), nil
	case out.Type == "not implemented":
		n, err := p.count(ctx, sql)
		if err != nil {
			return nil, nil, sqlError(err)
		}
		if n != 1 {
			return nil, refusal("only one statement at a time is available here"), nil
		}
		return nil, nil, nil
	}
	return nil, &penstock.SQLError{State: "42601", Message: out.Message}, nil
}

// count returns how many statements the engine sees in sql.
func (p *police) count(ctx context.Context, sql string) (n int, err error) {
	err = p.parser.do(ctx, func() error {
		var extracted duck.ExtractedStatements
		n = int(duck.ExtractStatements(p.parser.raw, sql, &extracted))
		duck.DestroyExtracted(&extracted)
		return nil
	})
	return n, err
}

// walk examines the parse of a SELECT.
func (p *police) walk(ctx context.Context, tree any) ([]schemaName, error) {
	w := walker{police: p, ctes: make(map[string]bool)}
	w.collect(tree)
	if err := w.visit(tree); err != nil {
		return nil, err
	}
	return w.schemas, w.files(ctx)
}

type walker struct {
	police  *police
	ctes    map[string]bool
	odd     []string // names of tables that might be taken for files
	schemas []schemaName
}

// collect finds the names of common table expressions.
func (w *walker) collect(node any) {
	switch n := node.(type) {
	case map[string]any:
		if ctes, ok := n["cte_map"].(map[string]any); ok {
			entries, _ := ctes["map"].([]any)
			for _, e := range entries {
				if m, ok := e.(map[string]any); ok {
					w.ctes[fold(text(m["key"]))] = true
				}
			}
		}
		for _, x := range n {
			w.collect(x)
		}
	case []any:
		for _, x := range n {
			w.collect(x)
		}
	}
}

func text(x any) string { s, _ := x.(string); return s }

func (w *walker) visit(node any) error {
	switch n := node.(type) {
	case map[string]any:
		if err := w.look(n); err != nil {
			return err
		}
		for _, x := range n {
			if err := w.visit(x); err != nil {
				return err
			}
		}
	case []any:
		for _, x := range n {
			if err := w.visit(x); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) look(n map[string]any) error {
	if name := fold(text(n["function_name"])); name != "" {
		if w.police.refused[name] || strings.HasPrefix(name, refusedPrefix) {
			return refusal("function %s is not available here", name)
		}
	}
	switch text(n["type"]) {
	case "TABLE_FUNCTION":
		f, _ := n["function"].(map[string]any)
		if name := fold(text(f["function_name"])); !tableFunctions[name] {
			return refusal("function %s is not available here", name)
		}
	case "BASE_TABLE", "SHOW_REF":
		schema, name := fold(text(n["schema_name"])), fold(strings.Trim(text(n["table_name"]), `"`))
		switch {
		case schema == metaSchema || strings.HasPrefix(name, hiddenPrefix):
			return refusal("%s is not for clients", strings.Trim(text(n["schema_name"])+"."+text(n["table_name"]), "."))
		case refusedViews[name] && (schema == "" || schema == "main"):
			return refusal("%s is not available here", name)
		case strings.ContainsAny(name, `./\*?:[{`) && !w.ctes[name]:
			w.odd = append(w.odd, name)
		}
		if at, ok := n["query_location"].(float64); ok && schema != "" && text(n["catalog_name"]) == "" && at < 1<<31 {
			w.schemas = append(w.schemas, schemaName{schema, int(at)})
		}
	}
	return nil
}

// files refuses names of tables that could be names of files, unless there
// are such tables: where there is none the engine looks for a file.
func (w *walker) files(ctx context.Context) error {
	for _, name := range w.odd {
		rows, err := w.police.parser.texts(ctx, "SELECT 'x' FROM duckdb_tables() WHERE lower(table_name) = lower(?)"+
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

// fileInFrom matches a string in the place of a table, in a statement of which
// there is no parse: the engine takes it for a file.
var fileInFrom = regexp.MustCompile(`(?i)\b(?:from|join|table|into|using|summarize|describe)[\s\pZ(]*'|\b(?:from|join|using)[\s\pZ(]*"[^"]*[./\\*]`)

// examineOther decides about a statement that is no SELECT.
func (p *police) examineOther(sql string, words []string) (verdict, error) {
	v, ok := classify(words)
	if !ok {
		return verdict{}, refusal("%s is not available here", strings.ToUpper(strings.Join(words[:min(len(words), 2)], " ")))
	}
	if m := p.word.FindStringSubmatch(sql); m != nil {
		return verdict{}, refusal("function %s is not available here", strings.ToLower(m[1]))
	}
	if strings.Contains(fold(sql), metaSchema) {
		return verdict{}, refusal("names with %s are not for clients", metaSchema)
	}
	if fileInFrom.MatchString(withoutComments(sql)) {
		return verdict{}, refusal("files are not available here")
	}
	return v, nil
}

// classify decides by the first words of a statement.
func classify(words []string) (verdict, bool) {
	skip := func(options ...string) {
		for len(words) > 0 && slices.Contains(options, words[0]) {
			words = words[1:]
		}
	}
	first := ""
	if len(words) > 0 {
		first, words = words[0], words[1:]
	}
	switch first {
	case "with": // which of them, the engine will say
		return verdict{kind: penstock.StatementOther}, true
	case "insert":
		return verdict{kind: penstock.StatementInsert}, true
	case "update":
		if len(words) > 0 && words[0] == "extensions" && !slices.Contains(words, "set") {
			return verdict{}, false
		}
		return verdict{kind: penstock.StatementUpdate}, true
	case "delete", "truncate":
		return verdict{kind: penstock.StatementDelete}, true
	case "create":
		skip("or", "replace")
		temporary := len(words) > 0 && (words[0] == "temp" || words[0] == "temporary")
		skip("temp", "temporary")
		if len(words) == 0 || !(words[0] == "table" || words[0] == "view" || words[0] == "schema" && !temporary) {
			return verdict{}, false
		}
		return verdict{kind: penstock.StatementDDL}, true
	case "drop", "alter":
		if len(words) == 0 || !slices.Contains([]string{"table", "view", "schema"}, words[0]) {
			return verdict{}, false
		}
		return verdict{kind: penstock.StatementDDL}, true
	}
	return verdict{}, false
}
