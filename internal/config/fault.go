package config

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong in a configuration file.
type Fault struct {
	Line    int    // 0 if it concerns the file as a whole
	Path    string // "sources.shop.url", "access_keys[0].id"; "" for the file
	Message string
}

func (f Fault) String() string {
	s := f.Message
	if f.Path != "" {
		s = f.Path + ": " + s
	}
	if f.Line > 0 {
		s = fmt.Sprintf("line %d: %s", f.Line, s)
	}
	return s
}

// Error is what Load returns for a file that is wrong: all its faults, in the
// order of lines. No message contains a secret.
type Error struct {
	File   string
	Faults []Fault
}

func (e *Error) Error() string {
	if len(e.Faults) == 1 {
		return e.File + ": " + e.Faults[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d faults", e.File, len(e.Faults))
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// faults collects what is wrong.
type faults struct{ list []Fault }

func (f *faults) add(at place, format string, args ...any) {
	f.list = append(f.list, Fault{Line: at.line, Path: at.path, Message: fmt.Sprintf(format, args...)})
}

// err returns the faults of a file as an error, nil if there are none.
func (f *faults) err(file string) error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b Fault) int { return a.Line - b.Line })
	return &Error{File: file, Faults: f.list}
}
