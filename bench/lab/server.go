package lab

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock/bench/measure"
	"penstock/internal/testdb"
)

// Server is a PostgreSQL server, tuned as a server in production would be as
// far as that concerns what is measured, and durable.
type Server struct {
	*testdb.Server
	pid int
}

// serverSettings keep checkpoints, which come when they come, out of windows.
var serverSettings = map[string]string{
	"shared_buffers":       "1GB",
	"max_wal_size":         "32GB",
	"checkpoint_timeout":   "1h",
	"wal_buffers":          "64MB",
	"maintenance_work_mem": "512MB",
	"autovacuum":           "off",
	"wal_compression":      "off",
}

// StartServer starts a server with settings over the usual ones.
func (e *Env) StartServer(ctx context.Context, settings map[string]string) (*Server, error) {
	all := maps.Clone(serverSettings)
	maps.Copy(all, settings)
	s, err := testdb.Start(ctx, testdb.Options{Settings: all, Dir: e.dir})
	if err != nil {
		return nil, err
	}
	e.onEnd(s.Close)
	b, err := os.ReadFile(filepath.Join(s.Dir(), "data", "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return nil, fmt.Errorf("read postmaster.pid: %w", err)
	}
	return &Server{Server: s, pid: pid}, nil
}

// CPU is a measure.Meter of all of the server's processes.
func (s *Server) CPU() (time.Duration, error) { return measure.TreeCPU(s.pid) }

// Query returns the only row of a query, as text, values separated by "|".
func (s *Server) Query(ctx context.Context, database, sql string) (string, error) {
	conn, err := s.Conn(ctx, database)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return oneRow(ctx, conn, sql)
}

// oneRow returns the only row of a query, as text.
func oneRow(ctx context.Context, conn *pgx.Conn, sql string) (string, error) {
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", fmt.Errorf("%.200s: %w", sql, err)
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 {
		return "", fmt.Errorf("%.200s: %d rows", sql, len(last.Rows))
	}
	var values []string
	for _, v := range last.Rows[0] {
		values = append(values, string(v))
	}
	return strings.Join(values, "|"), nil
}
