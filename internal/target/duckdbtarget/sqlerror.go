package duckdbtarget

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"penstock"
)

// sqlError makes a *penstock.SQLError of an error of the engine.
func sqlError(err error) error {
	if err == nil {
		return nil
	}
	var se *penstock.SQLError
	if errors.As(err, &se) {
		return se
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &penstock.SQLError{State: "57014", Message: "canceling statement due to user request"}
	}
	if errors.Is(err, errConnClosed) {
		return &penstock.SQLError{State: "57P01", Message: "the connection to the warehouse was closed"}
	}
	var ee *engineError
	if !errors.As(err, &ee) {
		return &penstock.SQLError{State: "XX000", Message: err.Error()}
	}
	message, detail := ee.text, ""
	if m, rest, ok := strings.Cut(message, "\n"); ok {
		message = m
		detail = strings.TrimSpace(rest)
	}
	out := &penstock.SQLError{State: sqlState(ee), Message: message, Detail: detail}
	if readOnlyWrite.MatchString(ee.text) {
		out.Message, out.Detail = "cannot write here: replicated databases are read-only", ""
		out.Hint = "write to the database " + BuiltIn
	}
	if m := missingTable.FindStringSubmatch(ee.text); m != nil {
		// In PostgreSQL's words, and without a guess at what was meant: that
		// would name tables of the engine.
		out.Message, out.Detail = `relation "`+m[1]+`" does not exist`, ""
	}
	if alteredMeanwhile.MatchString(ee.text) {
		out.Message, out.Detail = "could not serialize access due to a change of the table at the same time", ""
		out.Hint = "run the statement again"
	}
	return out
}

// alteredMeanwhile matches what the engine says when a table that a client has
// deleted from was changed by the stream before the statement ended.
var alteredMeanwhile = regexp.MustCompile(`another transaction has altered this table`)

var missingTable = regexp.MustCompile(`^(?:Table|View) with name (.*) does not exist!?`)

// readOnlyWrite matches what the engine says when the transaction that a
// client's statement runs in keeps it from writing.
var readOnlyWrite = regexp.MustCompile(`transaction is launched in read-only mode|in a transaction that has already modified database`)

// states maps what the engine says to SQLSTATEs, the first match counts.
var states = []struct {
	class   string // "" is any
	pattern *regexp.Regexp
	state   string
}{
	{"", readOnlyWrite, "25006"},
	{"", alteredMeanwhile, "40001"},
	{"", regexp.MustCompile(`(?i)current transaction is aborted`), "25P02"},
	{"", regexp.MustCompile(`(?i)no transaction is active`), "25P01"},
	{"", regexp.MustCompile(`(?i)transaction within a transaction`), "25001"},
	{"INTERRUPT", nil, "57014"},
	{"Out of Memory", nil, "53200"},
	{"", regexp.MustCompile(`No space left on device|max_temp_directory_size`), "53100"},
	{"FATAL", nil, "57P02"},
	{"Permission", nil, "42501"},
	{"Parser", nil, "42601"},
	{"Syntax", nil, "42601"},
	{"Catalog", regexp.MustCompile(`^(Table|View) with name .* already exists`), "42P07"},
	{"Catalog", regexp.MustCompile(`^Schema with name .* already exists`), "42P06"},
	{"Catalog", regexp.MustCompile(`^(Table|View) with name .* does not exist`), "42P01"},
	{"Catalog", regexp.MustCompile(`^Schema with name .* does not exist`), "3F000"},
	{"Catalog", regexp.MustCompile(`^(Existing object|Can only)`), "42809"},
	{"Catalog", regexp.MustCompile(`(?i)^type with name`), "42704"},
	{"Catalog", regexp.MustCompile(`(?i)function with name .* does not exist`), "42883"},
	{"Binder", regexp.MustCompile(`(?i)^catalog .* does not exist`), "3D000"},
	{"Binder", regexp.MustCompile(`(?i)^referenced table .* not found`), "42P01"},
	{"Binder", regexp.MustCompile(`(?i)^ambiguous reference to column|^ambiguous`), "42702"},
	{"Binder", regexp.MustCompile(`(?i)(referenced column|column with name|column) .* (not found|does not exist)|does not have a column named`), "42703"},
	{"Binder", regexp.MustCompile(`(?i)no function matches|could not choose a best candidate function`), "42883"},
	{"Binder", regexp.MustCompile(`(?i)must appear in the group by clause|aggregate`), "42803"},
	{"Binder", regexp.MustCompile(`(?i)cannot compare values of type|cannot cast|cannot mix`), "42804"},
	{"Binder", nil, "42601"},
	{"Catalog", nil, "42704"},
	{"", regexp.MustCompile(`(?i)division by zero|divide by zero`), "22012"},
	{"Divide by Zero", nil, "22012"},
	{"Conversion", regexp.MustCompile(`(?i)out of range|doesn't fit|overflow`), "22003"},
	{"Conversion", regexp.MustCompile(`(?i)(date|time|timestamp|interval) (field )?value|timestamp field|date field`), "22007"},
	{"Conversion", nil, "22P02"},
	{"Out of Range", nil, "22003"},
	{"Constraint", regexp.MustCompile(`(?i)NOT NULL`), "23502"},
	{"Constraint", regexp.MustCompile(`(?i)duplicate key|unique`), "23505"},
	{"Constraint", regexp.MustCompile(`(?i)CHECK`), "23514"},
	{"Constraint", nil, "23000"},
	{"Dependency", nil, "2BP01"},
	{"TransactionContext", regexp.MustCompile(`(?i)conflict`), "40001"},
	{"Transaction", regexp.MustCompile(`(?i)conflict`), "40001"},
	{"Not implemented", nil, "0A000"},
	{"Invalid Input", regexp.MustCompile(`(?i)configuration has been locked`), "42501"},
	{"Invalid Input", nil, "22023"},
	{"Mismatch Type", nil, "42804"},
}

func sqlState(e *engineError) string {
	for _, s := range states {
		if (s.class == "" || s.class == e.class) && (s.pattern == nil || s.pattern.MatchString(e.text)) {
			return s.state
		}
	}
	return "XX000"
}
