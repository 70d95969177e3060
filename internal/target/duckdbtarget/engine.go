package duckdbtarget

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

var (
	_ penstock.Target    = (*Warehouse)(nil)
	_ penstock.Warehouse = (*Warehouse)(nil)
)

// Config says where a warehouse lives and what it may use.
type Config struct {
	// Dir is the folder of the database files, of which the warehouse is the
	// only owner. It is made if it is missing.
	Dir string
	// SpillDir is the folder for what does not fit in memory. "" is a folder
	// "spill" beside Dir. Leftovers in it are removed by the engine.
	SpillDir string
	// Memory is how many bytes the engine may use; 0 means 1 GiB.
	Memory int64
	// Configured is what the configuration says that the program may use, of
	// which Memory is a part: what users are told to raise. 0 is Memory.
	Configured int64
	// MaxSpill is how many bytes may be spilled to SpillDir; 0 means eight
	// times Memory. A client's query must not take the disk from replication.
	MaxSpill int64
	// Threads is how many the engine computes with; 0 means one per CPU.
	Threads int
	// Logger gets what nobody is told otherwise; nil discards it.
	Logger *slog.Logger
}

const (
	defaultMemory = 1 << 30
	minMemory     = 64 << 20
	// longLog is the size of the write-ahead log, in bytes, at which the engine moves it
	// into the file by itself, in the course of a commit. Destinations have theirs moved
	// before, see gate.go; this is for what clients write.
	longLog = 128 << 20
)

// Warehouse is an embedded DuckDB with its databases. It implements
// penstock.Target for who writes and penstock.Warehouse for who queries. All
// methods may be called concurrently.
type Warehouse struct {
	cfg Config
	log *slog.Logger

	mu        sync.Mutex // guards what follows; held while databases come and go
	inst      *instance
	databases map[string]*database // by exact name
	closed    bool

	blocks knownBlocks
	// purging is held by who deletes what is past, shared, and by who copies a
	// database to lay it out anew.
	purging sync.RWMutex
	relays  chan struct{} // holds one while a database is laid out anew
}

// instance is one run of the engine. A fatal error ends it, and the next use
// of the warehouse begins another.
type instance struct {
	db     duck.Database
	broken atomic.Bool // the engine has given up
	police *police
	crew   crew

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// Open opens the warehouse in cfg.Dir and attaches every database found there.
// A file that is not one of its databases, or is damaged, is logged and left
// alone. It is KindConflict if another process has the warehouse open.
func Open(ctx context.Context, cfg Config) (*Warehouse, error) {
	if cfg.Dir == "" {
		return nil, penstock.Errorf(penstock.KindInvalid, "open warehouse: no folder given")
	}
	var err error
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, penstock.Errorf(penstock.KindInvalid, "open warehouse: %w", err)
	}
	if cfg.SpillDir == "" {
		cfg.SpillDir = filepath.Join(filepath.Dir(cfg.Dir), "spill")
	}
	if cfg.SpillDir, err = filepath.Abs(cfg.SpillDir); err != nil {
		return nil, penstock.Errorf(penstock.KindInvalid, "open warehouse: %w", err)
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Memory < minMemory {
		return nil, penstock.Errorf(penstock.KindInvalid, "open warehouse in %s: %d bytes of memory are less than the %d that the engine needs", cfg.Dir, cfg.Memory, minMemory)
	}
	if cfg.Configured == 0 {
		cfg.Configured = cfg.Memory
	}
	if cfg.MaxSpill == 0 {
		cfg.MaxSpill = 8 * cfg.Memory
	}
	if cfg.Threads <= 0 {
		cfg.Threads = runtime.GOMAXPROCS(0)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Warehouse{cfg: cfg, log: cfg.Logger, databases: make(map[string]*database), relays: make(chan struct{}, 1)}
	for _, dir := range []string{cfg.Dir, cfg.SpillDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, &penstock.Error{Kind: penstock.KindSetting, Op: "open warehouse", Err: err, Mend: "make " + dir + " a folder that Penstock may write to"}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// Engine returns "duckdb".
func (w *Warehouse) Engine() string { return "duckdb" }

// Consistency returns penstock.ConsistentDatabase.
func (w *Warehouse) Consistency() penstock.Consistency { return penstock.ConsistentDatabase }

// Close ends all sessions, all writing, and the engine.
func (w *Warehouse) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.stop()
	return nil
}

// running returns the instance, begun anew if a fatal error ended the last
// one. The caller holds w.mu.
func (w *Warehouse) running(ctx context.Context) (*instance, error) {
	if w.closed {
		return nil, penstock.Errorf(penstock.KindUnreachable, "the warehouse is closed")
	}
	if w.inst != nil && w.inst.broken.Load() {
		w.log.Error("warehouse engine failed, opening it anew", "dir", w.cfg.Dir)
		w.stop()
	}
	if w.inst == nil {
		if err := w.start(ctx); err != nil {
			return nil, err
		}
	}
	return w.inst, nil
}

// stop ends the instance and every connection to it.
func (w *Warehouse) stop() {
	if w.inst == nil {
		return
	}
	w.inst.close()
	w.inst = nil
	for _, db := range w.databases {
		db.open = nil
	}
}

// start begins an instance and attaches all databases. The caller holds w.mu.
func (w *Warehouse) start(ctx context.Context) error {
	inst, err := w.newInstance(ctx)
	if err != nil {
		return fault(err, w.cfg.Dir, "open warehouse in %s", w.cfg.Dir)
	}
	w.inst = inst
	if err := w.attachAll(ctx); err != nil {
		w.stop()
		return err
	}
	return nil
}

// newInstance starts the engine on no database, configures it and locks the
// configuration.
func (w *Warehouse) newInstance(ctx context.Context) (*instance, error) {
	inst := &instance{conns: make(map[*conn]struct{})}
	var config duck.Config
	if duck.CreateConfig(&config) != duck.StateSuccess {
		return nil, fmt.Errorf("the engine does not start")
	}
	defer duck.DestroyConfig(&config)
	external := 1 // who calls the engine
	if canLend() {
		external = w.cfg.Threads
	}
	for _, kv := range [][2]string{
		{"threads", strconv.Itoa(w.cfg.Threads)},
		{"external_threads", strconv.Itoa(external)}, // see crew
		{"memory_limit", strconv.FormatInt(w.cfg.Memory, 10) + "B"},
		{"temp_directory", w.cfg.SpillDir},
		{"checkpoint_threshold", strconv.Itoa(longLog) + "B"},
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"},
		{"allow_unsigned_extensions", "false"},
		{"allow_persistent_secrets", "false"},
		{"duckdb_api", "penstock"},
	} {
		if duck.SetConfig(config, kv[0], kv[1]) != duck.StateSuccess {
			return nil, fmt.Errorf("the engine refuses %s = %s", kv[0], kv[1])
		}
	}
	var message string
	if duck.OpenExt(":memory:", &inst.db, config, &message) != duck.StateSuccess {
		return nil, newEngineError(message)
	}
	inst.crew.db, inst.crew.size = inst.db, external-1
	c, err := inst.connect()
	if err != nil {
		inst.close()
		return nil, err
	}
	defer c.close()
	if err := c.execAll(ctx,
		"SET GLOBAL TimeZone = 'UTC'",
		// NULLs sort, and integers divide, as in PostgreSQL and Redshift.
		"SET GLOBAL default_null_order = 'nulls_last_on_asc_first_on_desc'",
		"SET GLOBAL integer_division = true",
		fmt.Sprintf("SET GLOBAL max_temp_directory_size = '%dB'", w.cfg.MaxSpill),
		"SET GLOBAL allowed_directories = ["+literal(w.cfg.Dir)+"]", // the spill folder is always allowed
		"SET GLOBAL enable_external_access = false",
		"SET GLOBAL lock_configuration = true", // nothing can be set after this
	); err != nil {
		inst.close()
		return nil, err
	}
	if inst.police, err = newPolice(ctx, c); err != nil {
		inst.close()
		return nil, err
	}
	return inst, nil
}

// connect makes a connection.
func (i *instance) connect() (*conn, error) {
	c := &conn{inst: i, handles: make(map[*handle]struct{})}
	if i.broken.Load() || duck.Connect(i.db, &c.raw) != duck.StateSuccess {
		return nil, errConnClosed
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.conns[c] = struct{}{}
	return c, nil
}

func (i *instance) remove(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.conns, c)
}

// close ends all connections, those that are busy too, and the engine.
func (i *instance) close() {
	i.broken.Store(true) // no connection comes any more
	i.mu.Lock()
	conns := make([]*conn, 0, len(i.conns))
	for c := range i.conns {
		conns = append(conns, c)
	}
	i.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
	i.crew.close()
	duck.Close(&i.db)
}

// literal quotes s as an SQL string.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// ident quotes s as an SQL identifier.
func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
