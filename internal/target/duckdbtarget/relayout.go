package duckdbtarget

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"penstock"
	"penstock/internal/failpoint"
)

// A database is laid out anew by copying it into a file with other blocks, which
// takes the place of the one that there was. While it is opened nobody writes to
// it, but for clients that delete what is past (purge.go), who are told to try
// again. It is read as ever: a transaction that is open when the files change
// places reads the old one to its end.
//
// The copy is made under a name that ends with newSuffix. Its file is complete
// when it loses that suffix, in one step, and is then the database, since of
// several files of a database that of the latest generation counts. Before that
// the old file is.

// newSuffix is what the name of a copy has until that is complete.
const newSuffix = ".new"

// relayAlias begins the names under which copies are attached.
const relayAlias = "_penstock_new_"

// purgePatience is how long a copy waits for clients that delete what is past.
const purgePatience = 5 * time.Second

// relayed lays a destination that has just been opened out anew, if it is to be.
// If that does not work, it stays as it is, and what it has no room for fails.
func (w *Warehouse) relayed(ctx context.Context, d *Destination) error {
	r := &d.db.relaying
	block := d.wants()
	r.block = 0
	if block >= d.block {
		return nil
	}
	began := time.Now()
	w.log.Info("destination database is laid out anew", "database", d.db.name, "block", block, "before", d.block)
	err := w.relay(ctx, d, block)
	if err == nil {
		w.log.Info("destination database has been laid out anew", "database", d.db.name, "file", d.db.path, "took", time.Since(began).Round(time.Millisecond))
		return nil
	}
	err = fault(err, w.cfg.Dir, "lay database %q out anew", d.db.name)
	if ctx.Err() != nil {
		r.failed = context.Cause(ctx) // not again at once
		return err
	}
	if d.inst.broken.Load() {
		return err
	}
	w.log.Error("destination database cannot be laid out anew", "database", d.db.name, "err", err)
	r.failed = err
	return nil
}

// relay copies a database into a file with such blocks, and puts that in its place.
func (w *Warehouse) relay(ctx context.Context, d *Destination, block int64) (err error) {
	db := d.db
	select { // one at a time, for the sake of memory
	case w.relays <- struct{}{}:
		defer func() { <-w.relays }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := w.stopPurges(ctx); err != nil {
		return err
	}
	defer w.purging.Unlock()
	if err := w.hasRoom(db); err != nil {
		return err
	}
	from, to := db.path, nextGeneration(db.path)
	c, err := d.inst.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if err := removeCopy(to + newSuffix); err != nil {
		return err
	}
	alias := relayAlias + db.alias
	if err := c.exec(ctx, "ATTACH "+literal(to+newSuffix)+" AS "+ident(alias)+" (BLOCK_SIZE "+strconv.FormatInt(block, 10)+")"); err != nil {
		return err
	}
	err = w.copyDatabase(ctx, c, db.alias, alias)
	if e := c.exec(context.Background(), "DETACH "+ident(alias)); err == nil {
		err = e
	}
	if err == nil {
		err = w.takeOver(ctx, c, db, to)
	}
	if db.path != to {
		_ = removeCopy(to + newSuffix)
		return err
	}
	if err != nil {
		return err
	}
	d.block = block
	w.blocks.remember(db.alias, nil)
	if err := removeDatabase(from); err != nil { // the next start does
		w.log.Warn("the file that a database was in cannot be removed", "file", from, "err", err)
	}
	return nil
}

// copyDatabase copies everything that there is in a database, table by table.
func (w *Warehouse) copyDatabase(ctx context.Context, c *conn, from, to string) error {
	if err := c.exec(ctx, "COPY FROM DATABASE "+ident(from)+" TO "+ident(to)+" (SCHEMA)"); err != nil {
		return err
	}
	tables, err := c.texts(ctx, "SELECT schema_name, table_name, column_count::VARCHAR FROM duckdb_tables() WHERE database_name = ?", from)
	if err != nil {
		return err
	}
	defer c.inst.crew.help(helpWriter)()
	columns, most := 0, newGate(w.cfg.Memory).most // as if it were a load
	for _, t := range tables {
		name := "." + ident(t[0]) + "." + ident(t[1])
		if err := c.exec(ctx, "INSERT INTO "+ident(to)+name+" SELECT * FROM "+ident(from)+name); err != nil {
			return err
		}
		n, err := c.texts(ctx, "SELECT (SELECT count(*) FROM "+ident(from)+name+")::VARCHAR, (SELECT count(*) FROM "+ident(to)+name+")::VARCHAR")
		if err != nil {
			return err
		}
		if n[0][0] != n[0][1] {
			return fmt.Errorf("of table %s.%s %s rows have been copied, and it has %s", t[0], t[1], n[0][1], n[0][0])
		}
		of, _ := strconv.Atoi(t[2])
		if columns += of; columns > most {
			columns = 0
			if err := c.exec(ctx, "CHECKPOINT "+ident(to)); err != nil {
				return err
			}
		}
	}
	return c.exec(ctx, "CHECKPOINT "+ident(to))
}

// takeOver makes a complete copy the database.
func (w *Warehouse) takeOver(ctx context.Context, c *conn, db *database, to string) error {
	if _, err := os.Lstat(to + newSuffix + ".wal"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the copy in %s has a log (%v)", to+newSuffix, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inst == nil || w.inst != c.inst || c.inst.broken.Load() {
		return errConnClosed
	}
	if err := failpoint.Here(failpoint.TargetBeforeRelaid); err != nil {
		return err
	}
	if err := os.Rename(to+newSuffix, to); err != nil {
		return err
	}
	db.path = to
	_ = failpoint.Here(failpoint.TargetAfterRelaid)
	err := syncDir(w.cfg.Dir)
	if err == nil {
		err = c.exec(context.WithoutCancel(ctx), "ATTACH OR REPLACE "+literal(to)+" AS "+ident(db.alias))
	}
	if err != nil {
		// What is attached is no longer the database: the engine begins anew, with
		// what is in the folder.
		w.log.Error("the copy of a database cannot be attached", "database", db.name, "file", to, "err", err)
		c.inst.broken.Store(true)
		return errConnClosed
	}
	return nil
}

// stopPurges keeps clients from deleting what is past, until w.purging is
// unlocked.
func (w *Warehouse) stopPurges(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, purgePatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !w.purging.TryLock() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &penstock.Error{Kind: penstock.KindUnreachable, Message: "a client is deleting what is past of a table in history mode", Mend: "end that statement"}
		}
	}
	return nil
}

// hasRoom returns an error if the disk has no room for a copy of a database,
// which smaller blocks may make larger.
func (w *Warehouse) hasRoom(db *database) error {
	needs := int64(64 << 20)
	for _, file := range []string{db.path, db.path + ".wal"} {
		if info, err := os.Stat(file); err == nil {
			needs += 2 * info.Size()
		}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(w.cfg.Dir, &disk); err != nil {
		return err
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < needs {
		return &penstock.Error{Kind: penstock.KindFull, Code: penstock.ProblemDiskFull, Message: "the disk that holds " + db.path + " has no room for a second one",
			Mend: fmt.Sprintf("free %d MiB on the disk of %s", (needs-free+1<<20-1)>>20, w.cfg.Dir)}
	}
	return nil
}

// removeCopy removes a copy that is not complete, with what the engine has
// beside it.
func removeCopy(path string) error {
	found, err := filepath.Glob(escapeGlob(path) + "*")
	for _, file := range found {
		if e := os.RemoveAll(file); err == nil {
			err = e
		}
	}
	return err
}

// nextGeneration returns the path of the file that takes the place of another.
func nextGeneration(path string) string {
	base, generation := splitGeneration(filepath.Base(path))
	return filepath.Join(filepath.Dir(path), strings.TrimSuffix(base, fileSuffix)+"."+strconv.Itoa(generation+1)+fileSuffix)
}

// splitGeneration returns what a file would be called if it were the first one
// of its database, and how many there have been before it.
func splitGeneration(file string) (first string, generation int) {
	s := strings.TrimSuffix(file, fileSuffix)
	if base, number, ok := strings.Cut(s, "."); ok { // fileName makes no other
		if n, err := strconv.Atoi(number); err == nil && n > 0 && strconv.Itoa(n) == number && s != file {
			return base + fileSuffix, n
		}
	}
	return file, 0
}

// olderGenerations returns the files that a database was in before.
func olderGenerations(path string) []string {
	dir, file := filepath.Split(path)
	first, generation := splitGeneration(file)
	var older []string
	for older0 := filepath.Join(dir, first); generation > 0; generation-- {
		older = append(older, older0)
		older0 = nextGeneration(older0)
	}
	return older
}
