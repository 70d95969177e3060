package lab

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"penstock/bench/measure"
)

func open(t *testing.T) *Env {
	t.Helper()
	e, err := Open("", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(e.dir); !os.IsNotExist(err) {
			t.Errorf("the folder is still there: %v", err)
		}
	})
	return e
}

// TestContent: a warehouse that has the rows passes, and one that differs in a
// single value of any column does not.
func TestContent(t *testing.T) {
	t.Parallel()
	ctx, e := t.Context(), open(t)
	s, err := e.StartServer(ctx, map[string]string{"shared_buffers": "64MB"})
	if err != nil {
		t.Fatal(err)
	}
	const rows = 3000
	tables := []Table{Orders, Narrow, Wide, Numbers}
	for _, table := range tables {
		if err := table.Fill(ctx, s, "postgres", rows); err != nil {
			t.Fatal(err)
		}
	}
	p, err := e.NewPenstock(Options{Memory: 128, Sources: []string{s.URL("postgres")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Integrate(ctx, "content", "postgres"); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitActive(ctx, "content"); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		digest, err := table.Digest(ctx, s, "postgres")
		if err != nil || !strings.HasPrefix(digest, "3000|") {
			t.Fatalf("digest %q, %v", digest, err)
		}
		if err := table.Check(ctx, p, "postgres", digest); err != nil {
			t.Error(err)
		}
		// The source alone is changed and put back, in one transaction.
		conn, err := s.Conn(ctx, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(ctx))
		for _, c := range table.Columns[1:] {
			other := strings.ReplaceAll(c.Value, "g", "(g + 3001)")
			if c.Name == "paid" {
				other = "NOT paid"
			}
			changed, err := oneRow(ctx, conn, "BEGIN; UPDATE "+table.Name+" SET "+c.Name+" = (SELECT "+other+" FROM (SELECT 17 AS g) x) WHERE id = 17; "+table.digest(postgres))
			if err != nil {
				t.Fatal(err)
			}
			if changed == digest {
				t.Errorf("%s: another value of %s makes no difference", table.Name, c.Name)
			}
			if err := table.Check(ctx, p, "postgres", changed); err == nil {
				t.Errorf("%s: another value of %s passes", table.Name, c.Name)
			}
			if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if peak, err := p.PeakRSS(); err != nil || peak < 20 || peak > 128+128 {
		t.Errorf("the program has %v MiB at its peak (%v)", peak, err)
	}
	if err := p.Delete(ctx, "content"); err != nil {
		t.Error(err)
	}
	if slots, err := s.Query(ctx, "postgres", "SELECT count(*) FROM pg_replication_slots"); err != nil || slots != "0" {
		t.Errorf("%s slots are left (%v)", slots, err)
	}
}

// TestPipe: programs are connected, and their CPU time is known once they have
// ended too.
func TestPipe(t *testing.T) {
	t.Parallel()
	e := open(t)
	out := &strings.Builder{}
	last := exec.Command("wc", "-c")
	last.Stdout = out
	all, err := e.Pipe(exec.Command("head", "-c", "300000000", "/dev/zero"), exec.Command("cat"), last)
	if err != nil {
		t.Fatal(err)
	}
	var cpu time.Duration
	for _, p := range all {
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		d, err := p.CPU()
		if err != nil {
			t.Error(err)
		}
		cpu += d
	}
	if strings.TrimSpace(out.String()) != "300000000" || cpu <= 0 {
		t.Errorf("%q bytes came, %v of CPU time", out, cpu)
	}
	bad, err := e.StartProcess(exec.Command("sh", "-c", "echo so it is >&2; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "so it is") {
		t.Errorf("a program that failed ends with %v", err)
	}
}

// TestServerCPU: what a server's backend takes counts for the server, also
// once the backend has ended.
func TestServerCPU(t *testing.T) {
	t.Parallel()
	ctx, e := t.Context(), open(t)
	s, err := e.StartServer(ctx, map[string]string{"shared_buffers": "64MB"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := measure.Open(map[string]measure.Meter{"server": s.CPU})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Query(ctx, "postgres", "SELECT sum(length(md5(g::text))) FROM generate_series(1, 500000) g"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil || w.CPU["server"] < 50*time.Millisecond {
		t.Errorf("half a million hashes took %v of CPU time (%v)", w.CPU["server"], err)
	}
}

func TestEngineVersion(t *testing.T) {
	t.Parallel()
	for bindings, want := range map[string]string{"v0.10506.0": "1.5.6", "v2.1.3": "v2.1.3", "": ""} {
		if got := decodeEngineVersion(bindings); got != want {
			t.Errorf("bindings %s have DuckDB %s, want %s", bindings, got, want)
		}
	}
	if got, err := engineVersion(t.Context()); err != nil || got == "" {
		t.Errorf("%q, %v", got, err)
	}
}
