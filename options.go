package penstock

import (
	"slices"
	"strings"
	"time"
)

// DatabaseOptions are what CREATE DATABASE … FROM INTEGRATION and ALTER
// DATABASE … INTEGRATION SET say about a destination database, in Amazon
// Redshift's words. The zero value is the default.
type DatabaseOptions struct {
	// AcceptInvChars has bytes of a text that are not UTF-8 replaced by
	// question marks. Without it such a text is a bad value.
	AcceptInvChars bool
	// QueryAllStates lets tables be read that have no consistent past state
	// to show: what is there of their first load.
	QueryAllStates bool
	// RefreshInterval is the pause between the end of one apply and the start
	// of the next, unless the stream is behind.
	RefreshInterval time.Duration
	// TruncateColumns has texts cut that are longer than their column holds.
	// A warehouse whose texts have no limit has nothing to cut.
	TruncateColumns bool
	// AutoRemediation has tables loaded again whose content is found to
	// differ from the source's.
	AutoRemediation bool
	// HistoryMode has tables that come from now on keep every version of their
	// rows. Of tables that are there, each has a mode of its own.
	HistoryMode bool
}

// MaxRefreshInterval is the longest RefreshInterval: five days.
const MaxRefreshInterval = 432_000 * time.Second

// OptionsChange sets those options that it has and leaves the others.
type OptionsChange struct {
	AcceptInvChars  *bool
	QueryAllStates  *bool
	RefreshInterval *time.Duration
	TruncateColumns *bool
	AutoRemediation *bool
	HistoryMode     *bool
}

// Apply returns o changed.
func (c OptionsChange) Apply(o DatabaseOptions) DatabaseOptions {
	set(&o.AcceptInvChars, c.AcceptInvChars)
	set(&o.QueryAllStates, c.QueryAllStates)
	set(&o.RefreshInterval, c.RefreshInterval)
	set(&o.TruncateColumns, c.TruncateColumns)
	set(&o.AutoRemediation, c.AutoRemediation)
	set(&o.HistoryMode, c.HistoryMode)
	return o
}

func set[T any](option, value *T) {
	if value != nil {
		*option = *value
	}
}

// NewDatabase is a destination database to be made: CREATE DATABASE … FROM
// INTEGRATION.
type NewDatabase struct {
	Name           string
	Integration    IntegrationID
	SourceDatabase string // "" is the only one that the integration replicates
	Options        OptionsChange
}

// reservedDatabases are names that every warehouse has for itself.
var reservedDatabases = []string{"dev", "system", "temp", "main", "memory"}

// ReservedDatabase reports whether no destination database can have that name,
// in whatever case: it is that of the built-in database, or means something to
// an engine.
func ReservedDatabase(name string) bool {
	return slices.Contains(reservedDatabases, strings.ToLower(name))
}
