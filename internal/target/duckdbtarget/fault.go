package duckdbtarget

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"penstock"
)

// engineError is an error as the engine words it: "Binder Error: …".
type engineError struct {
	class string // what stands before the colon: "Binder"
	text  string // the rest
}

func newEngineError(text string) *engineError {
	for _, sep := range []string{" Error: ", " exception: "} {
		if class, rest, ok := strings.Cut(text, sep); ok && len(class) < 40 && !strings.ContainsAny(class, "\n:\"'") {
			return &engineError{class, rest}
		}
	}
	return &engineError{"", text}
}

func (e *engineError) Error() string {
	if e.class == "" {
		return e.text
	}
	return e.class + " Error: " + e.text
}

func (e *engineError) interrupted() bool { return e.class == "INTERRUPT" }

// fatal reports whether the engine refuses to go on until it is opened anew.
func (e *engineError) fatal() bool {
	return e.class == "FATAL" || e.class == "INTERNAL" || strings.Contains(e.text, "database has been invalidated")
}

// outOfMemory goes by the text too: an appender's error, and one that another
// wraps, come without the class (DuckDB: standard_buffer_manager.cpp,
// temporary_file_manager.cpp, allocator.cpp).
func (e *engineError) outOfMemory() bool {
	if e.class == "Out of Memory" {
		return true
	}
	for _, said := range []string{
		"Out of Memory Error", "failed to allocate", "Failed to allocate block", "Failed to re-allocate block", "could not allocate block",
		"failed to pin block", "failed to reserve memory", "failed to offload data block", "max_temp_directory_size",
	} {
		if strings.Contains(e.text, said) {
			return true
		}
	}
	return false
}

func (e *engineError) diskFull() bool {
	return strings.Contains(e.text, "No space left on device") || strings.Contains(e.text, "Disk quota exceeded")
}

// damaged: what the engine says of a file that it cannot make sense of.
func (e *engineError) damaged() bool {
	return strings.Contains(e.text, "not a valid DuckDB database file") || strings.Contains(e.text, "Corrupt database file") ||
		strings.Contains(e.text, "Failure while replaying WAL file")
}

func (e *engineError) locked() bool {
	return strings.Contains(e.text, "Could not set lock on file") || strings.Contains(e.text, "Conflicting lock is held")
}

// fault makes a *penstock.Error of an error of the engine: what was attempted
// on what, classified by what the caller can do about it. path is the file or
// folder that would be full.
func fault(err error, path, op string, args ...any) error {
	if err == nil {
		return nil
	}
	var pe *penstock.Error
	if errors.As(err, &pe) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	f := &penstock.Error{Kind: penstock.KindInternal, Op: fmt.Sprintf(op, args...), Err: err}
	if errors.Is(err, errConnClosed) {
		f.Kind = penstock.KindUnreachable
		return f
	}
	var ee *engineError
	if !errors.As(err, &ee) {
		return f
	}
	switch {
	case ee.diskFull():
		f.Kind, f.Message, f.Mend = penstock.KindFull, "the disk that holds "+path+" is full", "free space on the disk of "+path
		f.Code = penstock.ProblemDiskFull
	case ee.outOfMemory():
		f.Kind, f.Message = penstock.KindFull, "the warehouse's memory is exhausted"
		f.Mend = "raise memory in the configuration"
		f.Code = penstock.ProblemMemoryExhausted
	case ee.locked():
		f.Kind, f.Message = penstock.KindConflict, path+" is in use by another process"
		f.Mend = "stop the process named in the message"
	case ee.damaged():
		f.Kind, f.Message = penstock.KindSetting, path+" is damaged, or not a file of this engine"
		f.Mend = "restore it from a backup, or move it away to have it loaded again"
		f.Code = penstock.ProblemTargetFailed
	case ee.conflict():
		f.Kind, f.Message = penstock.KindUnreachable, "what a batch that failed has left in the engine's memory stands in the way; the database is attached anew with the next call"
	case ee.fatal():
		f.Kind, f.Message = penstock.KindUnreachable, "the engine stopped and is opened anew with the next call"
	}
	return f
}
