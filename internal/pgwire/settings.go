package pgwire

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// serverVersion is what Redshift says.
const serverVersion = "8.0.2"

// setting is a setting of a session: its name as it is shown, and its value.
type setting struct{ name, value string }

// settings are the settings of a session. None of them reaches the engine.
type settings struct {
	values  map[string]setting // by lower-case name
	initial map[string]setting // what RESET returns to
	local   map[string]setting // of SET LOCAL: what COMMIT returns to
	before  map[string]setting // what ROLLBACK returns to; nil outside a transaction
	told    map[string]string  // reported to the client last

	// Taken from values, for those that run statements.
	statementTimeout time.Duration
}

// reportedNames are the settings whose changes clients are told of.
var reportedNames = []string{
	"application_name", "client_encoding", "DateStyle", "integer_datetimes", "IntervalStyle",
	"is_superuser", "padb_revision", "padb_version", "server_encoding", "server_version",
	"session_authorization", "standard_conforming_strings", "TimeZone",
}

// fixed are settings that cannot be changed.
var fixed = map[string]bool{
	"integer_datetimes": true, "is_superuser": true, "padb_revision": true, "padb_version": true,
	"server_encoding": true, "server_version": true, "server_version_num": true,
	"session_authorization": true, "max_identifier_length": true,
}

// startupOnly are names in a startup packet that are no settings.
var startupOnly = map[string]bool{
	"user": true, "database": true, "replication": true, "options": true,
	"driver_version": true, "os_version": true, "client_protocol_version": true,
	"plugin_name": true, "idp_type": true, "provider_name": true,
}

// newSettings returns the settings that a session begins with. What a startup
// packet sets and cannot be set is passed over, since clients send all kinds
// of things there.
func newSettings(user string, superuser bool, startup map[string]string) *settings {
	s := &settings{values: map[string]setting{}, told: map[string]string{}}
	for name, value := range map[string]string{
		"application_name": "", "bytea_output": "hex", "client_encoding": "UTF8",
		"client_min_messages": "notice", "DateStyle": "ISO, MDY", "default_transaction_isolation": "repeatable read",
		"default_transaction_read_only": "off", "enable_case_sensitive_identifier": "on",
		"extra_float_digits": "1", "integer_datetimes": "on", "IntervalStyle": "postgres",
		"is_superuser": onOff(superuser), "lock_timeout": "0", "max_identifier_length": "127",
		"padb_revision": "1", "padb_version": redshift.PadbVersion, "query_group": "default",
		"search_path": `"$user", public`, "server_encoding": "UTF8", "server_version": serverVersion,
		"server_version_num": "80002", "session_authorization": user, "standard_conforming_strings": "on",
		"statement_timeout": "0", "TimeZone": "UTC", "transaction_isolation": "repeatable read",
		"transaction_read_only": "off", waitFor: "", waitTimeout: "30s",
	} {
		s.values[strings.ToLower(name)] = setting{name, value}
	}
	for _, option := range startupOptions(startup["options"]) {
		_, _ = s.set(option.name, option.value, false)
	}
	for _, name := range slices.Sorted(maps.Keys(startup)) {
		if !startupOnly[name] {
			_, _ = s.set(strings.ToLower(name), startup[name], false)
		}
	}
	s.initial = maps.Clone(s.values)
	return s
}

// startupOptions reads "-c name=value --name=value".
func startupOptions(options string) []setting {
	var out []setting
	fields := strings.Fields(options)
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		switch {
		case f == "-c" && i+1 < len(fields):
			i++
			f = fields[i]
		case strings.HasPrefix(f, "-c"):
			f = f[2:]
		case strings.HasPrefix(f, "--"):
			f = f[2:]
		default:
			continue
		}
		if name, value, ok := strings.Cut(f, "="); ok {
			out = append(out, setting{strings.ToLower(strings.ReplaceAll(name, "-", "_")), value})
		}
	}
	return out
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// set changes a setting; name is in lower case. Names that nobody knows are
// remembered and have no effect. The notice, if any, is for the client.
func (s *settings) set(name, value string, local bool) (notice string, err error) {
	if fixed[name] {
		return "", &penstock.SQLError{State: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", name)}
	}
	switch name {
	case "client_encoding":
		if !isUTF8Name(value) {
			return "", &penstock.SQLError{State: "0A000", Message: fmt.Sprintf("client_encoding %q is not supported: all text is UTF8", value)}
		}
		value = "UTF8"
	case "standard_conforming_strings":
		if on, ok := parseBool(value); !ok || !on {
			return "", &penstock.SQLError{State: "0A000", Message: "standard_conforming_strings is always on"}
		}
		value = "on"
	case "datestyle":
		value = "ISO, MDY" // the only style that is written
	case "intervalstyle":
		value = "postgres"
	case "bytea_output":
		value = "hex"
	case "timezone":
		if !isUTC(value) {
			notice = "timestamps with time zone are shown in UTC; SET timezone has no effect"
		}
		value = "UTC"
	case "extra_float_digits":
		if n, err := strconv.Atoi(value); err != nil || n < -15 || n > 3 {
			return "", invalidValue(name, value)
		}
	case waitFor:
		if strings.EqualFold(value, waitNow) {
			value = waitNow
		}
	case "statement_timeout", waitTimeout:
		d, ok := parseDuration(value)
		if !ok {
			return "", invalidValue(name, value)
		}
		value = formatDuration(d)
	}
	old, known := s.values[name]
	shown := name
	if known {
		shown = old.name
	}
	if s.before != nil {
		if !local {
			delete(s.local, name)
		} else if _, ok := s.local[name]; !ok {
			s.local[name] = old
		}
	} else if local {
		return "SET LOCAL can only be used in transaction blocks", nil
	}
	s.values[name] = setting{shown, value}
	s.apply()
	return notice, nil
}

// reset gives a setting, or all of them if name is "", its initial value.
func (s *settings) reset(name string) {
	if name == "" {
		s.values = maps.Clone(s.initial)
	} else if v, ok := s.initial[name]; ok {
		s.values[name] = v
	} else {
		delete(s.values, name)
	}
	s.apply()
}

// apply takes over what statements need to know.
func (s *settings) apply() {
	s.statementTimeout, _ = parseDuration(s.values["statement_timeout"].value)
}

// style returns how values are written as text.
func (s *settings) style() textStyle {
	n, _ := strconv.Atoi(s.values["extra_float_digits"].value)
	return textStyle{extraFloatDigits: n}
}

// begin remembers the settings for a rollback.
func (s *settings) begin() {
	if s.before == nil {
		s.before, s.local = maps.Clone(s.values), map[string]setting{}
	}
}

func (s *settings) commit() {
	for name, v := range s.local {
		if s.values[name] = v; v.name == "" {
			delete(s.values, name)
		}
	}
	s.before, s.local = nil, nil
	s.apply()
}

func (s *settings) rollback() {
	if s.before != nil {
		s.values = s.before
	}
	s.before, s.local = nil, nil
	s.apply()
}

// reported returns the reported settings that the client has not been told
// of in their present value, and takes it that it will be.
func (s *settings) reported() []setting {
	var out []setting
	for _, name := range reportedNames {
		v := s.values[strings.ToLower(name)]
		if told, ok := s.told[name]; !ok || told != v.value {
			s.told[name] = v.value
			out = append(out, v)
		}
	}
	return out
}

func isUTF8Name(s string) bool {
	switch strings.ToUpper(strings.NewReplacer("-", "", "_", "").Replace(s)) {
	case "UTF8", "UNICODE", "SQLASCII":
		return true
	}
	return false
}

func isUTC(s string) bool {
	switch strings.ToUpper(s) {
	case "UTC", "GMT", "ETC/UTC", "ETC/GMT", "UCT", "ZULU", "Z", "0", "+00", "+00:00":
		return true
	}
	return false
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1", "t":
		return true, true
	case "off", "false", "no", "0", "f":
		return false, true
	}
	return false, false
}

func invalidValue(name, value string) error {
	return &penstock.SQLError{State: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", name, value)}
}

// parseDuration reads milliseconds, or a number with one of PostgreSQL's units.
func parseDuration(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	unit := time.Millisecond
	for suffix, u := range map[string]time.Duration{
		"us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
		"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	} {
		if digits, ok := strings.CutSuffix(s, suffix); ok && digits != "" && isDigitOrBlank(digits[len(digits)-1]) {
			s, unit = strings.TrimSpace(digits), u
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0 && n*float64(unit) <= float64(1<<31)*float64(time.Millisecond)) {
		return 0, false
	}
	return time.Duration(n * float64(unit)).Round(time.Millisecond), true
}

func isDigitOrBlank(c byte) bool { return '0' <= c && c <= '9' || c == ' ' }

// formatDuration writes d in the largest unit that leaves no remainder.
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}
