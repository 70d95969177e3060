package redshift

import (
	"fmt"
	"time"

	"penstock"
)

// optionReader reads the options of a destination database, of which none may
// be there twice.
type optionReader struct {
	*reader
	seen map[string]bool

	existing bool                    // the database is there, and may have tables
	history  *penstock.HistoryChange // read of HISTORY_MODE, about these
}

var databaseOptions = map[string]bool{
	"ACCEPTINVCHARS": true, "QUERY_ALL_STATES": true, "REFRESH_INTERVAL": true, "TRUNCATECOLUMNS": true, "HISTORY_MODE": true, "AUTO_REMEDIATION": true,
}

// read takes one option, and reports whether there was one.
func (r *optionReader) read(c *penstock.OptionsChange) (known bool, err error) {
	name := r.st.Word(r.i)
	if !databaseOptions[name] {
		return false, nil
	}
	if r.seen[name] {
		return true, &penstock.SQLError{State: "42601", Message: "the option " + name + " is there twice"}
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[name] = true
	r.i++
	r.equals()
	switch name {
	case "ACCEPTINVCHARS":
		c.AcceptInvChars, err = r.boolean()
	case "QUERY_ALL_STATES":
		c.QueryAllStates, err = r.boolean()
	case "REFRESH_INTERVAL":
		c.RefreshInterval, err = r.interval()
	case "TRUNCATECOLUMNS":
		c.TruncateColumns, err = r.boolean()
	case "AUTO_REMEDIATION":
		c.AutoRemediation, err = r.boolean()
	case "HISTORY_MODE":
		err = r.historyMode(c)
	}
	return true, err
}

func (r *optionReader) boolean() (*bool, error) {
	v := r.word("TRUE")
	if !v && !r.word("FALSE") {
		return nil, syntaxError(r.st, r.i)
	}
	return &v, nil
}

// interval reads a number of seconds.
func (r *optionReader) interval() (*time.Duration, error) {
	n, err := r.number()
	if err != nil {
		return nil, err
	}
	const most = int64(penstock.MaxRefreshInterval / time.Second)
	if n < 0 || n > most {
		return nil, &penstock.SQLError{State: "22023", Message: fmt.Sprintf("REFRESH_INTERVAL must be between 0 and %d seconds", most)}
	}
	d := time.Duration(n) * time.Second
	return &d, nil
}

// historyMode reads the value of HISTORY_MODE, and for which tables it is
// meant. Without a word about that it is all, those included that are to come.
func (r *optionReader) historyMode(c *penstock.OptionsChange) error {
	on, err := r.boolean()
	if err != nil {
		return err
	}
	h := &penstock.HistoryChange{On: *on}
	if r.existing {
		r.history = h
		if r.word("FOR") {
			next := r.st.Word(r.i + 1)
			if r.word("ALL") || r.st.Word(r.i) == "TABLES" && (r.i+1 == len(r.st.Tokens) || next == "IN" || databaseOptions[next]) {
				h.Schemas, err = r.tablesInSchemas()
			} else {
				h.Tables, err = r.namedTables()
			}
		}
	}
	if h.Future() {
		c.HistoryMode = on
	}
	return err
}
