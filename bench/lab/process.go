package lab

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"penstock/bench/measure"
)

// Process is a program that runs, or has run.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended
	log  tailBuffer
}

// StartProcess starts a program; what it prints is kept for errors, its end.
// It is killed when the Env ends.
func (e *Env) StartProcess(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The death signal comes when the starting thread ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	e.onEnd(func() error { p.end(syscall.SIGKILL); return nil })
	return p, nil
}

// Wait waits until the program has ended by itself.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s: %w\n%s", p.cmd.Path, p.err, p.log.String())
		}
		return nil
	case <-ctx.Done():
		p.end(syscall.SIGKILL)
		return fmt.Errorf("%s: %w\n%s", p.cmd.Path, ctx.Err(), p.log.String())
	}
}

// Alive returns an error if the program has ended, with what it said.
func (p *Process) Alive() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %v\n%s", p.cmd.Path, p.err, p.log.String())
	default:
		return nil
	}
}

// Log returns the end of what the program has said.
func (p *Process) Log() string { return p.log.String() }

// end sends a signal and waits for the end, which it forces after a minute.
func (p *Process) end(sig syscall.Signal) {
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// CPU is a measure.Meter of the process, also once it has ended.
func (p *Process) CPU() (time.Duration, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), nil
	default:
	}
	t, err := measure.CPU(p.PID())
	if err != nil {
		<-p.done
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), nil
	}
	return t, nil
}

// EndedPeakRSS returns the most memory that the process had resident, or a child of its
// that it waited for, in MiB. It has ended.
func (p *Process) EndedPeakRSS() float64 {
	<-p.done
	if u, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return float64(u.Maxrss) / 1024 // KiB, getrusage(2)
	}
	return 0
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 8 << 10

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
