package measure

import (
	"context"
	"io"
	"math"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	got, err := parseStat([]byte("7 (a ) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 20 10 20 0 1 0 100 0 0\n"))
	if want := (stat{parent: 3, own: 2 * time.Second, waited: 300 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "7 (x", "7 (x) S 1 2", "7 (x) S 3 7 7 0 -1 4194560 1 2 3 4 a 50 20 10 20 0"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a process's state", bad)
		}
	}
}

func TestParseMachine(t *testing.T) {
	t.Parallel()
	busy, stolen, err := parseMachine("cpu  100 20 30 4000 50 6 7 80 0 0\ncpu0 1 2 3\n")
	if err != nil || busy != 1630*time.Millisecond || stolen != 800*time.Millisecond {
		t.Errorf("%v busy, %v stolen, %v", busy, stolen, err)
	}
	if _, _, err := parseMachine("intr 1 2 3"); err == nil {
		t.Error("something else is taken for a machine's state")
	}
}

// shell starts a shell that ends with the test. What it prints comes from out.
func shell(t *testing.T, script string) (cmd *exec.Cmd, out io.Reader) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return cmd, out
}

// burn starts a shell whose child takes at least 100 ms of CPU time, and
// returns it once the child has ended and been waited for.
func burn(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd, out := shell(t, `/bin/sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read x; exit 0`)
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestCPU: what a child took counts for the parent that has waited for it, as
// PostgreSQL's postmaster does for its backends.
func TestCPU(t *testing.T) {
	t.Parallel()
	cmd := burn(t)
	whole, err := TreeCPU(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := CPU(cmd.Process.Pid)
	if err != nil || alone != whole {
		t.Errorf("%v by itself (%v), %v with all below it, of which nothing runs any more", alone, err, whole)
	}
	self, err := TreeCPU(os.Getpid())
	if err != nil || whole < tick || self < whole {
		t.Errorf("a child took %v, and its parent with it %v (%v)", whole, self, err)
	}
	if _, err := TreeCPU(1 << 30); err == nil {
		t.Error("there is a CPU time of a process that there is not")
	}
}

func TestPeakRSS(t *testing.T) {
	t.Parallel()
	cmd := burn(t)
	n, err := PeakRSS(cmd.Process.Pid)
	if err != nil || n < 100<<10 || n > 1<<30 {
		t.Errorf("a shell has %d bytes at its peak (%v)", n, err)
	}
	if err := ForgetPeak(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	now := time.Second
	w, err := Open(map[string]Meter{"a": func() (time.Duration, error) { return now, nil }})
	if err != nil {
		t.Fatal(err)
	}
	now += 250 * time.Millisecond
	if err := w.Close(); err != nil || w.CPU["a"] != 250*time.Millisecond || w.Wall <= 0 || w.Others < 0 || w.Stolen < 0 || w.Disturbed() != w.Others+w.Stolen {
		t.Errorf("%+v, %v", w, err)
	}
	broken := func() (time.Duration, error) { return 0, context.Canceled }
	if _, err := Open(map[string]Meter{"a": broken}); err != context.Canceled {
		t.Errorf("a meter that fails gives %v", err)
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	s := Sample{4, 1, 3, 2}
	if s.Median() != 2.5 || s.Min() != 1 || s.Max() != 4 || s.Quantile(1./3) != 2 {
		t.Errorf("median %v, least %v, most %v, third %v", s.Median(), s.Min(), s.Max(), s.Quantile(1./3))
	}
	if s[0] != 4 {
		t.Error("the sample has been sorted")
	}
	if !math.IsNaN(Sample{}.Median()) {
		t.Error("nothing has a median")
	}
}

// TestTreeCPUNeverShrinks: what a process took is not lost while it passes, at its
// end, from itself to the one that waits for it.
func TestTreeCPUNeverShrinks(t *testing.T) {
	t.Parallel()
	cmd, out := shell(t, `n=0; while [ $n -lt 60 ]; do /bin/sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'; n=$((n+1)); done; echo done; read x`)
	ended := make(chan error, 1)
	go func() {
		_, err := out.Read(make([]byte, 8))
		ended <- err
	}()
	for before := time.Duration(0); ; {
		now, err := TreeCPU(cmd.Process.Pid)
		if err != nil || now < before {
			t.Fatalf("%v after %v, %v", now, before, err)
		}
		before = now
		select {
		case err := <-ended:
			if err != nil || before == 0 {
				t.Errorf("%v at the end, %v", before, err)
			}
			return
		default:
		}
	}
}
