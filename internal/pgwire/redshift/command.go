package redshift

import (
	"strings"

	"penstock"
)

// Command says who answers a statement, and how.
type Command uint8

// The commands. All but Engine are answered by the endpoint itself.
const (
	Engine     Command = iota // rewritten and run by the warehouse
	Begin                     // BEGIN, START TRANSACTION
	Commit                    // COMMIT, END
	Rollback                  // ROLLBACK, ABORT
	Set                       // SET name TO value
	Reset                     // RESET name, SET name TO DEFAULT; Name "" is all
	Show                      // SHOW name; Name "" is all
	Discard                   // DISCARD ALL and its parts
	Deallocate                // DEALLOCATE name; Name "" is all
	Ignore                    // has no effect here, and is answered with success
	Manage                    // of a destination database; see Action.Order
)

// Action is what Classify found out about a statement.
type Action struct {
	Command  Command
	Tag      string // what CommandComplete says, but for counts; "" for Engine
	Name     string // of a setting (lower case) or a prepared statement
	Value    string // of a setting
	Local    bool   // SET LOCAL
	ReadOnly bool   // BEGIN … READ ONLY
	Order    Order  // of Manage; else a ChangeTable, which is Manage if its database is a destination
}

// engineRefuses are statements that reach for files or the configuration of
// the engine. The engine refuses them too; so it says the same for all.
var engineRefuses = map[string]bool{
	"ATTACH": true, "DETACH": true, "INSTALL": true, "LOAD": true, "PRAGMA": true,
	"EXPORT": true, "IMPORT": true, "CHECKPOINT": true, "FORCE": true, "CALL": true,
}

// unsupported are statements of PostgreSQL and Redshift that are not offered.
var unsupported = map[string]bool{
	"SAVEPOINT": true, "RELEASE": true, "PREPARE": true, "EXECUTE": true, "DECLARE": true,
	"FETCH": true, "MOVE": true, "LISTEN": true, "NOTIFY": true, "LOCK": true, "UNLOAD": true,
	"GRANT": true, "REVOKE": true, "USE": true, "DO": true,
}

// showByEngine are the words after SHOW that the engine knows how to answer.
var showByEngine = map[string]bool{"TABLES": true, "DATABASES": true, "SCHEMAS": true}

// Classify says what to do with a statement. Its error is a
// *penstock.SQLError, for what is refused.
func Classify(st Statement) (Action, error) {
	switch first := st.Word(0); first {
	case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT":
		return transaction(st, first)
	case "SET":
		return set(st)
	case "RESET":
		if st.Word(1) == "SESSION" {
			return Action{Command: Ignore, Tag: "RESET"}, nil
		}
		name := settingName(st, 1, len(st.Tokens))
		if name == "" {
			return Action{}, syntaxError(st, 1)
		}
		if name == "all" {
			name = ""
		}
		return Action{Command: Reset, Tag: "RESET", Name: name}, nil
	case "SHOW":
		return show(st)
	case "DISCARD":
		if what := st.Word(1); what == "ALL" || what == "PLANS" || what == "SEQUENCES" || what == "TEMP" || what == "TEMPORARY" {
			return Action{Command: Discard, Tag: "DISCARD " + what, Name: strings.ToLower(what)}, nil
		}
		return Action{}, syntaxError(st, 1)
	case "DEALLOCATE":
		i := 1
		if st.Word(i) == "PREPARE" && i+1 < len(st.Tokens) {
			i++
		}
		if st.Word(i) == "ALL" {
			return Action{Command: Deallocate, Tag: "DEALLOCATE ALL"}, nil
		}
		if name := st.Name(i); name != "" {
			return Action{Command: Deallocate, Tag: "DEALLOCATE", Name: name}, nil
		}
		return Action{}, syntaxError(st, i)
	case "UNLISTEN":
		return Action{Command: Ignore, Tag: "UNLISTEN"}, nil
	case "CLOSE":
		if st.Word(1) == "ALL" {
			return Action{Command: Ignore, Tag: "CLOSE CURSOR ALL"}, nil
		}
		return Action{}, notSupported("CLOSE")
	case "COPY":
		return Action{}, refuseCopy(st)
	case "CREATE", "ALTER", "DROP":
		if o, ok, err := databaseOrder(st); ok {
			return Action{Command: Manage, Tag: first + " DATABASE", Order: o}, err
		}
		return engine(st), nil
	case "TRUNCATE", "DELETE":
		return engine(st), nil
	default:
		if engineRefuses[first] {
			return Action{}, &penstock.SQLError{State: "42501", Message: "permission denied: " + first +
				" would reach files or the configuration of the warehouse"}
		}
		if unsupported[first] {
			return Action{}, notSupported(first)
		}
		return Action{Command: Engine}, nil
	}
}

// engine returns the action of a statement that the engine runs, unless it is
// about a destination database.
func engine(st Statement) Action {
	if c, ok := tableChange(st); ok {
		return Action{Command: Engine, Order: c}
	}
	return Action{Command: Engine}
}

func transaction(st Statement, first string) (Action, error) {
	switch first {
	case "BEGIN", "START":
		if first == "START" && st.Word(1) != "TRANSACTION" {
			return Action{}, syntaxError(st, 1)
		}
		a := Action{Command: Begin, Tag: "BEGIN"}
		if first == "START" {
			a.Tag = "START TRANSACTION"
		}
		for i := range st.Tokens {
			a.ReadOnly = a.ReadOnly || st.Word(i) == "READ" && st.Word(i+1) == "ONLY"
		}
		return a, nil
	}
	for i := 1; i < len(st.Tokens); i++ {
		switch st.Word(i) {
		case "TO", "PREPARED", "CHAIN":
			if st.Word(i-1) == "NO" {
				continue
			}
			return Action{}, notSupported(first + " … " + st.Word(i))
		}
	}
	if first == "COMMIT" || first == "END" {
		return Action{Command: Commit, Tag: "COMMIT"}, nil
	}
	return Action{Command: Rollback, Tag: "ROLLBACK"}, nil
}

func set(st Statement) (Action, error) {
	a := Action{Command: Set, Tag: "SET"}
	i := 1
	switch st.Word(i) {
	case "LOCAL":
		a.Local = true
		i++
	case "SESSION":
		i++
	}
	switch w := st.Word(i); {
	case w == "CHARACTERISTICS" || w == "TRANSACTION":
		return Action{Command: Ignore, Tag: "SET"}, nil
	case w == "AUTHORIZATION" || w == "ROLE":
		if v := st.Word(i + 1); v == "DEFAULT" || v == "NONE" {
			return Action{Command: Ignore, Tag: "SET"}, nil
		}
		return Action{}, notSupported("SET " + w)
	case w == "TIME" && st.Word(i+1) == "ZONE":
		a.Name = "timezone"
		return setValue(st, a, i+2)
	case w == "NAMES":
		a.Name = "client_encoding"
		return setValue(st, a, i+1)
	}
	for j := i + 1; j < len(st.Tokens); j++ {
		if st.Word(j) == "TO" || st.Raw(j) == "=" {
			if a.Name = settingName(st, i, j); a.Name == "" {
				break
			}
			return setValue(st, a, j+1)
		}
	}
	return Action{}, syntaxError(st, i)
}

// setValue reads the value or values of a SET from token i on.
func setValue(st Statement, a Action, i int) (Action, error) {
	if i >= len(st.Tokens) {
		return Action{}, syntaxError(st, i)
	}
	if w := st.Word(i); (w == "DEFAULT" || w == "LOCAL" && a.Name == "timezone") && i == len(st.Tokens)-1 {
		a.Command = Reset
		return a, nil
	}
	var b strings.Builder
	for ; i < len(st.Tokens); i++ {
		if st.Kind(i) == Comma {
			b.WriteString(", ")
			continue
		}
		b.WriteString(st.Value(i))
	}
	a.Value = b.String()
	return a, nil
}

// settingName reads the name in tokens [i, end): one name, or dotted ones.
func settingName(st Statement, i, end int) string {
	var b strings.Builder
	for ; i < end; i++ {
		switch st.Kind(i) {
		case Word, Quoted:
			b.WriteString(strings.ToLower(st.Name(i)))
		case Dot:
			b.WriteByte('.')
		default:
			return ""
		}
	}
	return b.String()
}

func show(st Statement) (Action, error) {
	a := Action{Command: Show, Tag: "SHOW"}
	switch w := st.Word(1); {
	case w == "ALL" && st.Word(2) == "TABLES", showByEngine[w]:
		return Action{Command: Engine}, nil
	case w == "ALL":
		return a, nil
	case w == "TIME" && st.Word(2) == "ZONE":
		a.Name = "timezone"
	case w == "TRANSACTION" && st.Word(2) == "ISOLATION":
		a.Name = "transaction_isolation"
	case w == "SESSION" && st.Word(2) == "AUTHORIZATION":
		a.Name = "session_authorization"
	default:
		if a.Name = settingName(st, 1, len(st.Tokens)); a.Name == "" {
			return Action{}, syntaxError(st, 1)
		}
	}
	return a, nil
}

// refuseCopy tells COPY through the connection, which is not offered, from
// COPY between the warehouse and files, which nobody may.
func refuseCopy(st Statement) error {
	for i := range st.Tokens {
		if w := st.Word(i); w == "STDIN" || w == "STDOUT" {
			return notSupported("COPY")
		}
	}
	return &penstock.SQLError{State: "42501", Message: "permission denied: COPY would reach files outside the warehouse"}
}

func notSupported(what string) error {
	return &penstock.SQLError{State: "0A000", Message: what + " is not supported"}
}

func syntaxError(st Statement, i int) error {
	if i >= len(st.Tokens) {
		return &penstock.SQLError{State: "42601", Message: "syntax error at end of input"}
	}
	return &penstock.SQLError{State: "42601", Message: `syntax error at or near "` + st.Raw(i) + `"`}
}

// tagObjects are the words that name what a CREATE, ALTER or DROP is about.
var tagObjects = map[string]bool{
	"TABLE": true, "VIEW": true, "SCHEMA": true, "INDEX": true, "SEQUENCE": true,
	"TYPE": true, "DATABASE": true, "FUNCTION": true, "MACRO": true,
}

// Tag returns the words that CommandComplete says after an engine statement
// that changed no rows: "CREATE TABLE".
func (s Statement) Tag() string {
	first := s.Word(0)
	switch first {
	case "CREATE", "ALTER", "DROP":
		for i := 1; i < len(s.Tokens) && i < 6; i++ {
			if w := s.Word(i); tagObjects[w] {
				return first + " " + w
			}
		}
	case "TRUNCATE":
		return "TRUNCATE TABLE"
	case "":
		return "SELECT"
	case "WITH":
		if verb := s.afterWith(); verb != "" {
			return verb
		}
	}
	return first
}

// afterWith returns the word that follows the last parenthesis of a WITH clause, if
// it is one that a statement begins with.
func (s Statement) afterWith() string {
	depth := 0
	for i := range s.Tokens {
		switch s.Kind(i) {
		case Open:
			depth++
		case Close:
			depth--
		case Word:
			if depth > 0 || s.Kind(i-1) != Close {
				continue
			}
			switch w := s.Word(i); w {
			case "SELECT", "INSERT", "UPDATE", "DELETE":
				return w
			}
		}
	}
	return ""
}
