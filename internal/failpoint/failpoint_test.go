package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOrders runs alone: what is armed is the process's.
func TestOrders(t *testing.T) {
	t.Cleanup(func() { _ = Arm("") })
	if err := Here(TargetBeforeCommit); err != nil {
		t.Errorf("off, and it returns %v", err)
	}
	if err := Arm("target.before-commit=2:error, target.after-commit=error,store.after-write=sleep 30ms"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, false} {
		if err := Here(TargetBeforeCommit); errors.Is(err, ErrInjected) != want {
			t.Errorf("pass %d: %v", i+1, err)
		}
	}
	for range 2 {
		if err := Here(TargetAfterCommit); !errors.Is(err, ErrInjected) || !strings.Contains(err.Error(), "target.after-commit") {
			t.Errorf("at every pass: %v", err)
		}
	}
	began := time.Now()
	if err := Here(StoreAfterWrite); err != nil || time.Since(began) < 30*time.Millisecond {
		t.Errorf("slept %v, %v", time.Since(began), err)
	}
	if err := Here(StoreBeforeWrite); err != nil {
		t.Errorf("a point that is not named: %v", err)
	}
}

func TestFaultsOfTheText(t *testing.T) {
	for text, want := range map[string]string{
		"nowhere=kill":                   `no point "nowhere"`,
		"target.before-commit":           "not kill",
		"target.before-commit=0:kill":    "no number",
		"target.before-commit=x:kill":    "no number",
		"target.before-commit=sleep":     "duration",
		"target.before-commit=explode 1": "explode",
	} {
		if err := Arm(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}

// TestKill has another process kill itself, at the second pass.
func TestKill(t *testing.T) {
	if os.Getenv(Env) != "" {
		if err := Arm(os.Getenv(Env)); err != nil {
			t.Fatal(err)
		}
		_ = Here(TargetAfterSwap)
		os.Stdout.WriteString("once\n")
		_ = Here(TargetAfterSwap)
		os.Stdout.WriteString("twice\n")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKill$")
	cmd.Env = append(os.Environ(), Env+"=target.after-swap=2:kill")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(string(out), "once") || strings.Contains(string(out), "twice") {
		t.Errorf("it printed %q", out)
	}
}
