package testdb_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// killedChild runs TestGoesWithItsProcess in a process of its own, reads what
// it started, kills the process and returns what it said.
func killedChild(t *testing.T) (addr, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestGoesWithItsProcess$")
	cmd.Env = append(os.Environ(), "TESTDB_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if s, ok := strings.CutPrefix(lines.Text(), "addr "); ok {
			addr = s
		} else if s, ok := strings.CutPrefix(lines.Text(), "dir "); ok {
			dir = s
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if addr == "" || dir == "" {
		t.Fatal("the child started no server")
	}
	return addr, dir
}
