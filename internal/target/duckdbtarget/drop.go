package duckdbtarget

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"penstock"
	"penstock/internal/failpoint"
)

// droppedSuffix is appended to the name of a database's file to drop it. That
// is the one step that counts: a database without it is there, one with it is
// not, and what is left of it is removed sooner or later.
const droppedSuffix = ".dropped"

// Drop implements penstock.Target. The engine keeps the file of a database
// open, and its path for itself, for as long as a transaction uses it: such a
// transaction reads on, and the name is free again once it has ended.
func (w *Warehouse) Drop(ctx context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	inst, err := w.running(ctx)
	if err != nil {
		return err
	}
	db := w.databases[name]
	switch {
	case db == nil:
		return nil
	case db.name == BuiltIn:
		return penstock.Errorf(penstock.KindInvalid, "drop database %q: it is the built-in one", name)
	case db.open != nil:
		return penstock.Errorf(penstock.KindConflict, "drop database %q: it is still being written to", name)
	case penstock.KindOf(db.err) == penstock.KindConflict && db.err != nil:
		return db.err // a file that is not this database
	}
	if db.err == nil {
		c, err := inst.connect()
		if err == nil {
			err = c.exec(ctx, "DETACH "+ident(db.alias))
			c.close()
		}
		if err != nil {
			return fault(err, db.path, "drop database %q", name)
		}
		// From here on it is like one that could not be attached, which
		// another Drop, or Open, takes from there.
		db.err = errNeverCompleted
	}
	err = removeOlder(db.path) // else the next start would find it
	if err == nil {
		err = removeDatabase(db.path)
	}
	if err != nil {
		return fault(err, db.path, "drop database %q", name)
	}
	delete(w.databases, name)
	w.log.Info("destination database dropped", "database", name, "file", db.path)
	return nil
}

// removeDatabase removes the file of a database that is not attached, with
// what the engine has beside it.
func removeDatabase(path string) error {
	if err := failpoint.Here(failpoint.TargetBeforeRemove); err != nil {
		return err
	}
	switch err := os.Rename(path, path+droppedSuffix); {
	case errors.Is(err, fs.ErrNotExist): // it was never made, or has gone before
	case err != nil:
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	_ = failpoint.Here(failpoint.TargetAfterRemove)
	return finishRemoving(path)
}

// removeOlder removes the files that a database was in before it was laid out
// anew, as far as they are still there.
func removeOlder(path string) error {
	for _, older := range olderGenerations(path) {
		if _, err := os.Lstat(older); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := removeDatabase(older); err != nil {
			return err
		}
	}
	return nil
}

// finishRemoving removes what is left of a database whose file has been given
// droppedSuffix. That goes last, as the sign that there is something to finish.
func finishRemoving(path string) error {
	if _, err := os.Lstat(path + droppedSuffix); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	companions, err := filepath.Glob(escapeGlob(path) + ".*")
	if err != nil {
		return err
	}
	for _, file := range companions {
		if !strings.HasSuffix(file, droppedSuffix) {
			if err := os.RemoveAll(file); err != nil {
				return err
			}
		}
	}
	return os.Remove(path + droppedSuffix)
}

// escapeGlob makes a path a pattern that matches it alone.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
