package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// Alone is an embedded DuckDB in a process of its own, without a warehouse
// around it.
type Alone struct {
	*Process
	in  io.WriteCloser
	out *bufio.Reader
}

// StartAlone starts one on a new file, with so much memory in MiB and as many
// threads as the program gives its engine.
func (e *Env) StartAlone(memory, threads int) (*Alone, error) {
	binary := filepath.Join(e.dir, "alone")
	if text, err := exec.Command("go", "build", "-o", binary, "penstock/bench/alone").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build alone: %w\n%s", err, text)
	}
	dir, err := e.TempDir("alone")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, filepath.Join(dir, "alone.duckdb"), fmt.Sprintf("%dMiB", memory), fmt.Sprint(threads))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := e.StartProcess(cmd)
	if err != nil {
		return nil, err
	}
	return &Alone{p, in, bufio.NewReader(out)}, nil
}

// Ask runs a statement and returns its rows as text.
func (a *Alone) Ask(ctx context.Context, sql string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if _, err := io.WriteString(a.in, sql+"\x00"); err != nil {
		return "", fmt.Errorf("%w; %w", err, a.Alive())
	}
	text, err := a.out.ReadString(0)
	if err != nil {
		return "", fmt.Errorf("%.200s: %w", sql, err)
	}
	text = strings.TrimSuffix(text, "\x00")
	if _, message, failed := strings.Cut(text, "\x01"); failed {
		return "", fmt.Errorf("%.200s: %s", sql, message)
	}
	return text, nil
}
