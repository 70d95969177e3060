package duckdbtarget

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"penstock"
)

// BuiltIn is the name of the database that every warehouse has, which clients
// may write to.
const BuiltIn = "dev"

// database is a database of the warehouse: a file, and what is known of it.
type database struct {
	name  string // exact
	alias string // under which it is attached
	path  string
	spec  penstock.DatabaseSpec // zero for the built-in database
	// err says why the database is not attached; nil if it is.
	err      error
	open     *Destination // who writes to it
	spent    bool         // is to be attached anew before it is written to; see marks.go
	relaying relaying     // belongs to who opens it, and to open
}

// attachAll attaches the databases found in the folder, and makes the built-in
// one. The caller holds w.mu.
func (w *Warehouse) attachAll(ctx context.Context) error {
	c, err := w.inst.connect()
	if err != nil {
		return fault(err, w.cfg.Dir, "open warehouse in %s", w.cfg.Dir)
	}
	defer c.close()

	clear(w.databases)
	dev := &database{name: BuiltIn, alias: BuiltIn, path: filepath.Join(w.cfg.Dir, fileName(BuiltIn, 0))}
	if isStub(dev.path) {
		if err := os.Remove(dev.path); err != nil {
			return fault(err, dev.path, "open warehouse in %s", w.cfg.Dir)
		}
	}
	if err := w.attach(ctx, c, dev); penstock.KindOf(err) == penstock.KindConflict {
		return err // another process owns the folder
	}
	entries, err := os.ReadDir(w.cfg.Dir)
	if err != nil {
		return fault(err, w.cfg.Dir, "open warehouse in %s", w.cfg.Dir)
	}
	latest := make(map[string]int) // generations of files, by the name of the first
	for _, e := range entries {
		if first, generation := splitGeneration(e.Name()); e.Type().IsRegular() {
			latest[first] = max(latest[first], generation)
		}
	}
	for _, e := range entries {
		first, generation := splitGeneration(e.Name())
		name, n, ok := parseFileName(first)
		switch {
		case strings.Contains(e.Name(), fileSuffix+newSuffix):
			if err := removeCopy(filepath.Join(w.cfg.Dir, e.Name())); err != nil {
				w.log.Error("what is left of a database that was being laid out anew cannot be removed", "file", e.Name(), "err", err)
			}
		case strings.HasSuffix(e.Name(), fileSuffix+droppedSuffix):
			path := filepath.Join(w.cfg.Dir, strings.TrimSuffix(e.Name(), droppedSuffix))
			if err := finishRemoving(path); err != nil {
				w.log.Error("what is left of a dropped database cannot be removed", "file", e.Name(), "err", err)
			}
		case name == BuiltIn || isCompanion(e.Name()):
		case !ok || !e.Type().IsRegular():
			w.log.Warn("foreign file in the warehouse's folder", "dir", w.cfg.Dir, "file", e.Name())
		case generation < latest[first]: // removed below
		default:
			path := filepath.Join(w.cfg.Dir, e.Name())
			// A failure is logged, remembered and found again by Open.
			if err := w.attach(ctx, c, &database{name: name, alias: numbered(name, n), path: path}); err == nil {
				if err := removeOlder(path); err != nil {
					w.log.Warn("the file that a database was in cannot be removed", "file", e.Name(), "err", err)
				}
			}
		}
	}
	return ctx.Err()
}

// attach attaches a database, adds it to w.databases and returns db.err. A
// destination database must say itself what it is; one that was never
// completed is forgotten.
func (w *Warehouse) attach(ctx context.Context, c *conn, db *database) error {
	if isStub(db.path) {
		db.err = errNeverCompleted
		w.databases[db.name] = db
		return db.err
	}
	db.err = fault(c.exec(ctx, "ATTACH "+literal(db.path)+" AS "+ident(db.alias)), db.path, "attach database %q", db.name)
	attached := db.err == nil
	if attached {
		db.err = w.recognize(ctx, c, db)
	}
	if db.err != nil {
		if attached {
			_ = c.exec(context.Background(), "DETACH "+ident(db.alias))
		}
		if !errors.Is(db.err, errNeverCompleted) {
			w.log.Error("database not attached", "database", db.name, "file", db.path, "err", db.err)
		}
	}
	w.databases[db.name] = db
	return db.err
}

// headerSize is what every file of the engine has at least.
const headerSize = 3 * 4096

// isStub reports whether a file is the beginning of one of the engine's, cut
// off before it held anything: a crash can leave that.
func isStub(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 12)
	switch n, err := io.ReadFull(f, head); {
	case errors.Is(err, io.EOF):
		return true
	case err != nil:
		return n == 0
	}
	info, err := f.Stat()
	return err == nil && info.Size() < headerSize && string(head[8:]) == "DUCK"
}

// errNeverCompleted marks a file of a database whose making was interrupted:
// it holds nothing and belongs to nobody.
var errNeverCompleted = errors.New("it was never completed")

// recognize reads what an attached file says that it is.
func (w *Warehouse) recognize(ctx context.Context, c *conn, db *database) error {
	if db.name == BuiltIn {
		err := c.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+ident(db.alias)+".public")
		return fault(err, db.path, "prepare database %q", db.name)
	}
	spec, err := readSpec(ctx, c, db.alias)
	switch {
	case err != nil:
		return fault(err, db.path, "read database %q", db.name)
	case spec == nil:
		tables, err := c.texts(ctx, "SELECT count(*)::VARCHAR FROM duckdb_tables() WHERE database_name = ?", db.alias)
		if err != nil {
			return fault(err, db.path, "read database %q", db.name)
		}
		if tables[0][0] == "0" {
			return errNeverCompleted
		}
		return foreign(db, "it was not made by Penstock")
	case spec.Name != db.name:
		return foreign(db, "it says that it is database "+spec.Name)
	}
	db.spec = *spec
	return nil
}

func foreign(db *database, why string) error {
	return &penstock.Error{Kind: penstock.KindConflict, Op: "open database " + db.name,
		Message: db.path + " is not this database: " + why, Mend: "move that file elsewhere"}
}

// Open implements penstock.Target. One that is open already is refused with
// KindConflict.
func (w *Warehouse) Open(ctx context.Context, spec penstock.DatabaseSpec) (penstock.Destination, error) {
	if spec.Name == "" || spec.Integration == "" {
		return nil, penstock.Errorf(penstock.KindInvalid, "open database %q: a name and an integration are needed", spec.Name)
	}
	if penstock.ReservedDatabase(spec.Name) {
		return nil, penstock.Errorf(penstock.KindConflict, "open database %q: the name is reserved", spec.Name)
	}
	d, err := w.open(ctx, spec)
	if err != nil {
		return nil, err
	}
	if err := w.relayed(ctx, d); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// open opens a destination database as it is.
func (w *Warehouse) open(ctx context.Context, spec penstock.DatabaseSpec) (*Destination, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	inst, err := w.running(ctx)
	if err != nil {
		return nil, err
	}
	if db := w.databases[spec.Name]; db != nil && db.open == nil {
		if err := w.renew(ctx, db); err != nil {
			return nil, fault(err, w.cfg.Dir, "open database %q", spec.Name)
		}
		if inst, err = w.running(ctx); err != nil {
			return nil, err
		}
	}
	c, err := inst.connect()
	if err != nil {
		return nil, fault(err, w.cfg.Dir, "open database %q", spec.Name)
	}
	d, err := w.openWith(ctx, c, spec)
	if err != nil {
		c.close()
		return nil, fault(err, w.cfg.Dir, "open database %q", spec.Name)
	}
	return d, nil
}

// openWith opens a destination database that will write through c.
func (w *Warehouse) openWith(ctx context.Context, c *conn, spec penstock.DatabaseSpec) (*Destination, error) {
	db := w.databases[spec.Name]
	if db != nil && db.open != nil {
		return nil, penstock.Errorf(penstock.KindConflict, "open database %q: it is being written to already", spec.Name)
	}
	if db == nil {
		n := w.freeNumber(spec.Name)
		if len(fileName(spec.Name, n)) > maxFileName+len(fileSuffix) {
			return nil, penstock.Errorf(penstock.KindInvalid, "open database %q: the name is too long for a file", spec.Name)
		}
		db = &database{name: spec.Name, alias: numbered(spec.Name, n), path: filepath.Join(w.cfg.Dir, fileName(spec.Name, n)), err: errNeverCompleted}
	}
	if db.err != nil { // not attached, or not yet made: once more
		if _, err := os.Lstat(db.path); errors.Is(err, fs.ErrNotExist) {
			db.err = errNeverCompleted
		} else if err := w.attach(ctx, c, db); err != nil && !errors.Is(err, errNeverCompleted) {
			return nil, err
		}
	}
	owned := db.spec
	switch {
	case db.err != nil:
		if err := w.create(ctx, c, db, spec); err != nil {
			return nil, err
		}
		w.log.Info("destination database made", "database", db.name, "file", db.path)
	case owned == spec:
	case owned.Integration == "" && owned.SourceARN == spec.SourceARN && owned.SourceDatabase == spec.SourceDatabase:
	default:
		return nil, penstock.Errorf(penstock.KindConflict, "open database %q: it belongs to another integration or source database", spec.Name)
	}
	block, err := blockSize(ctx, c, db.alias)
	if err != nil {
		return nil, err
	}
	d := &Destination{w: w, db: db, inst: w.inst, writer: c, block: block, gate: newGate(w.cfg.Memory), weights: make(map[string]*weight)}
	if err := d.recover(ctx, spec); err != nil {
		return nil, err
	}
	db.open = d
	return d, nil
}

// create makes the file of a destination database.
func (w *Warehouse) create(ctx context.Context, c *conn, db *database, spec penstock.DatabaseSpec) error {
	if isStub(db.path) {
		if err := os.Remove(db.path); err != nil {
			return fault(err, db.path, "make database %q", db.name)
		}
	}
	if err := finishRemoving(db.path); err != nil { // one of that name, dropped before
		return fault(err, db.path, "make database %q", db.name)
	}
	if err := c.exec(ctx, "ATTACH "+literal(db.path)+" AS "+ident(db.alias)); err != nil {
		if strings.Contains(err.Error(), "Unique file handle conflict") {
			return &penstock.Error{Kind: penstock.KindConflict, Op: "make database " + db.name,
				Message: "one of that name has been dropped, and a transaction that is open still reads it", Mend: "end that transaction"}
		}
		return fault(err, db.path, "make database %q", db.name)
	}
	err := initialize(ctx, c, db.alias, spec)
	if err == nil {
		err = syncDir(w.cfg.Dir)
	}
	if err != nil {
		_ = c.exec(context.Background(), "DETACH "+ident(db.alias))
		return fault(err, db.path, "make database %q", db.name)
	}
	db.spec, db.err = spec, nil
	w.databases[db.name] = db
	return nil
}

// syncDir makes the names of new files durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// freeNumber returns the smallest number that tells the alias of a new
// database from those of all others, which the engine compares without case.
func (w *Warehouse) freeNumber(name string) int {
	taken := make(map[string]bool)
	for _, db := range w.databases {
		taken[fold(db.alias)] = true
	}
	n := 0
	for taken[fold(numbered(name, n))] {
		n++
	}
	return n
}

// Detach implements penstock.Target.
func (w *Warehouse) Detach(ctx context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	inst, err := w.running(ctx)
	if err != nil {
		return err
	}
	db := w.databases[name]
	switch {
	case db == nil || db.name == BuiltIn || errors.Is(db.err, errNeverCompleted):
		return nil
	case db.err != nil:
		return db.err
	case db.open != nil:
		return penstock.Errorf(penstock.KindConflict, "detach database %q: it is still being written to", name)
	case db.spec.Integration == "":
		return nil
	}
	c, err := inst.connect()
	if err == nil {
		defer c.close()
		if err = setIntegration(ctx, c, db.alias, ""); err == nil {
			db.spec.Integration = ""
		}
	}
	return fault(err, db.path, "detach database %q", name)
}

// List implements penstock.Target. Databases that could not be attached are
// left out.
func (w *Warehouse) List(ctx context.Context) ([]penstock.DatabaseSpec, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.running(ctx); err != nil {
		return nil, err
	}
	var specs []penstock.DatabaseSpec
	for _, db := range w.databases {
		if db.err == nil && db.name != BuiltIn {
			specs = append(specs, db.spec)
		}
	}
	slices.SortFunc(specs, func(a, b penstock.DatabaseSpec) int { return cmp.Compare(a.Name, b.Name) })
	return specs, nil
}
