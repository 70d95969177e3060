package duckdbtarget

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
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
	word  *regexp.Regexp // finds a use of a refused function in any text
	known verdicts
}

// tableFunctions are the functions that may stand in a table's place. All
// others of the engine read files, configuration or memory, run SQL out of a
// string, or have an effect.
var tableFunctions = set(`range generate_series generate_subscripts unnest repeat repeat_row json_each json_tree
	regexp_split_to_table test_all_types icu_calendar_names pg_timezone_names
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
	refused := maps.Clone(refusedFunctions)
	for _, r := range rows {
		if name := fold(r[0]); !tableFunctions[name] {
			refused[name] = true
		}
	}
	names := make([]string, 0, len(refused))
	for name := range refused {
		names = append(names, regexp.QuoteMeta(name))
	}
	slices.Sort(names)
	// The name, then what may stand between it and its parenthesis. A comment
	// would count as one, if there were any left in the text.
	p := &police{}
	p.word = regexp.MustCompile(`(?i)(?:^|[^\pL\pN_$])(` + strings.Join(names, "|") + `|` + refusedPrefix + `\w*)"?[\s\pZ]*(?:\(|/\*|--)`)
	return p, nil
}

// verdict is what the police says of a statement that it lets pass.
type verdict struct {
	kind  penstock.StatementKind
	query bool // it is a query: it writes nothing
	// schemas are names of tables that come with a schema and no database. They are
	// not to be changed.
	schemas []schemaName
	passing bool // it may be another when tables come and go
}

// schemaName is the schema before a table's name, and where it stands.
type schemaName struct {
	name string
	at   int
}

// maxStatement is how long a statement may be. Its parse takes some thirty
// times as much memory for a moment.
const maxStatement = 1 << 20

// refusal is the error for what is not for clients.
func refusal(format string, args ...any) *penstock.SQLError {
	return &penstock.SQLError{State: "42501", Message: fmt.Sprintf(format, args...)}
}

// examine decides about a statement in canonical form, which must be a single
// one. parser is a connection for nothing but this. What has passed once passes
// again, since to decide costs as much as to plan.
func (p *police) examine(ctx context.Context, parser *conn, sql string) (verdict, error) {
	if v, ok := p.known.find(sql); ok {
		return v, nil
	}
	v, err := p.decide(ctx, parser, sql)
	if err == nil && !v.passing {
		p.known.add(sql, v)
	}
	return v, err
}

func (p *police) decide(ctx context.Context, parser *conn, sql string) (verdict, error) {
	if strings.ContainsRune(sql, 0) {
		return verdict{}, &penstock.SQLError{State: "42601", Message: "a statement contains a zero byte"}
	}
	if len(sql) > maxStatement {
		return verdict{}, &penstock.SQLError{State: "54001", Message: fmt.Sprintf("a statement of %d bytes; at most %d are possible", len(sql), maxStatement)}
	}
	words := leadingWords(sql, 5)
	if len(words) > 0 && words[0] == "explain" {
		rest, ok := afterExplain(sql)
		if !ok {
			return verdict{}, refusal("this form of EXPLAIN is not available")
		}
		v, err := p.examine(ctx, parser, rest)
		v.kind, v.schemas = penstock.StatementOther, nil
		return v, err
	}
	tree, perr, err := p.parse(ctx, parser, sql)
	switch {
	case err != nil:
		return verdict{}, err
	case tree != "":
		schemas, passing, err := walk(ctx, parser, tree)
		return verdict{kind: penstock.StatementSelect, query: true, schemas: schemas, passing: passing}, err
	case perr != nil:
		return verdict{}, perr
	}
	return p.examineOther(sql, words)
}

// parse returns the engine's parse of a SELECT as JSON, an error of its parser,
// or neither if the statement is another than SELECT.
func (p *police) parse(ctx context.Context, parser *conn, sql string) (tree string, perr *penstock.SQLError, err error) {
	rows, err := parser.texts(ctx, "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", sql)
	if err != nil {
		return "", nil, sqlError(err)
	}
	tree = rows[0][0]
	if !strings.HasPrefix(tree, `{"error":true`) {
		return tree, nil, nil
	}
	var failure struct {
		Type    string `json:"error_type"`
		Message string `json:"error_message"`
	}
	if err := json.Unmarshal([]byte(tree), &failure); err != nil {
		return "", refusal("the statement cannot be examined: %v", err), nil
	}
	if failure.Type != "not implemented" {
		return "", &penstock.SQLError{State: "42601", Message: failure.Message}, nil
	}
	n, err := p.count(ctx, parser, sql)
	if err != nil {
		return "", nil, sqlError(err)
	}
	if n != 1 {
		return "", onlyOne(n), nil
	}
	return "", nil, nil
}

// onlyOne is the error for any other number of statements than one.
func onlyOne(n int) *penstock.SQLError {
	if n == 0 {
		return &penstock.SQLError{State: "42601", Message: "the statement is empty"}
	}
	return refusal("only one statement at a time is available here")
}

// count returns how many statements the engine sees in sql.
func (p *police) count(ctx context.Context, parser *conn, sql string) (n int, err error) {
	err = parser.do(ctx, func() error {
		var extracted duck.ExtractedStatements
		n = int(duck.ExtractStatements(parser.raw, sql, &extracted))
		duck.DestroyExtracted(&extracted)
		return nil
	})
	return n, err
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
	if fileInFrom.MatchString(sql) {
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
