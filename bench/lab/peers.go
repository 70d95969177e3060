package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// ErrMissing is wrapped where a program to compare with is not installed.
var ErrMissing = errors.New("it is not installed: scripts/deps.sh bench")

// Tool returns the path of a program of PostgreSQL's, or of one on PATH.
func (s *Server) Tool(name string) (string, error) {
	path := s.Binaries.Tool(name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, ErrMissing)
	}
	return path, nil
}

// CopySlot makes a slot that is where another one is.
func (s *Server) CopySlot(ctx context.Context, database, from, to string) error {
	return s.Exec(ctx, database, fmt.Sprintf("SELECT pg_copy_logical_replication_slot('%s', '%s')", from, to))
}

// DropSlot drops a slot as soon as nobody holds it any more.
func (s *Server) DropSlot(ctx context.Context, database, slot string) error {
	return s.Exec(ctx, database, fmt.Sprintf(`DO $$ BEGIN
		WHILE EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '%[1]s' AND active) LOOP PERFORM pg_sleep(0.01); END LOOP;
		PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '%[1]s'; END $$`, slot))
}

// Receiver describes a run of pg_recvlogical.
type Receiver struct {
	Database, Slot string
	Until          string   // LSN at which it ends
	Options        []string // of the plugin: "proto_version=1"
}

// Receive starts pg_recvlogical writing to /dev/null.
func (e *Env) Receive(s *Server, r Receiver) (*Process, error) {
	tool, err := s.Tool("pg_recvlogical")
	if err != nil {
		return nil, err
	}
	args := []string{"--dbname", s.URL(r.Database), "--slot", r.Slot, "--start", "--no-loop", "--endpos", r.Until, "--file", "/dev/null"}
	for _, o := range r.Options {
		args = append(args, "--option", o)
	}
	return e.StartProcess(exec.Command(tool, args...))
}

// Subscription is PostgreSQL's own logical replication from one server into a
// database of another.
type Subscription struct {
	from, to     *Server
	fromDB, toDB string
	slot         string
}

// Subscribe prepares a subscription to publications that reads from an
// existing slot; it does not begin.
func Subscribe(ctx context.Context, from *Server, fromDB string, to *Server, toDB, slot string, publications []string) (*Subscription, error) {
	return &Subscription{from, to, fromDB, toDB, slot}, to.Exec(ctx, toDB, fmt.Sprintf(
		"CREATE SUBSCRIPTION bench CONNECTION '%s' PUBLICATION %s WITH (create_slot = false, enabled = false, copy_data = false, slot_name = '%s')",
		from.URL(fromDB), strings.Join(publications, ", "), slot))
}

// Begin has the subscription carry changes.
func (s *Subscription) Begin(ctx context.Context) error {
	return s.to.Exec(ctx, s.toDB, "ALTER SUBSCRIPTION bench ENABLE")
}

// Drop ends the subscription and drops its slot.
func (s *Subscription) Drop(ctx context.Context) error {
	err := s.to.Exec(ctx, s.toDB, "ALTER SUBSCRIPTION bench DISABLE", "ALTER SUBSCRIPTION bench SET (slot_name = NONE)", "DROP SUBSCRIPTION bench")
	return errors.Join(err, s.from.DropSlot(ctx, s.fromDB, s.slot))
}

// Pipe connects the output of one program with the input of the next, starts
// all, and returns them. The last one's output, if it has none, is thrown
// away.
func (e *Env) Pipe(cmds ...*exec.Cmd) (out []*Process, err error) {
	var mine []io.Closer // ends of pipes that only the programs keep open
	defer func() {
		for _, c := range mine {
			c.Close()
		}
	}()
	for i, cmd := range cmds[:len(cmds)-1] {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		mine = append(mine, r, w)
		cmd.Stdout, cmds[i+1].Stdin = w, r
	}
	if last := cmds[len(cmds)-1]; last.Stdout == nil {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		mine = append(mine, null)
		last.Stdout = null
	}
	for _, cmd := range cmds {
		p, err := e.StartProcess(cmd)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
