package failpoint

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Env names the environment variable that the program takes the text for Arm
// from.
const Env = "PENSTOCK_FAILPOINTS"

// ErrInjected is what Here returns where a failure was asked for.
var ErrInjected = errors.New("a failure was injected")

// armed holds the points that do something; nil while none does.
var armed atomic.Pointer[map[Point][]*order]

// order is what happens at a point.
type order struct {
	at     int64 // at this pass only; 0: at every one
	passes atomic.Int64
	act    func() error
}

// Here is called by the program at a point. It ends the process, takes its
// time, or returns ErrInjected, as Arm has said; else it returns nil. Callers
// that cannot fail ignore what it returns.
func Here(p Point) error {
	points := armed.Load()
	if points == nil {
		return nil
	}
	for _, o := range (*points)[p] {
		if n := o.passes.Add(1); o.at != 0 && o.at != n {
			continue
		}
		if err := o.act(); err != nil {
			return fmt.Errorf("%w at %s", err, p)
		}
	}
	return nil
}

// Arm makes points do something, in place of what they did: a list like
//
//	target.before-commit=3:kill,target.after-commit=error,store.after-write=sleep 200ms
//
// of point=[N:]action, where N is the pass at which it happens, counted from
// 1, and every pass without it. kill ends the process as SIGKILL does. An
// empty text disarms.
func Arm(text string) error {
	points := map[Point][]*order{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, what, _ := strings.Cut(item, "=")
		if !slices.Contains(All(), Point(name)) {
			return fmt.Errorf("%s: there is no point %q", Env, name)
		}
		o, err := parse(what)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", Env, item, err)
		}
		points[Point(name)] = append(points[Point(name)], o)
	}
	if len(points) == 0 {
		armed.Store(nil)
		return nil
	}
	armed.Store(&points)
	return nil
}

func parse(what string) (*order, error) {
	o := &order{}
	if pass, rest, ok := strings.Cut(what, ":"); ok {
		n, err := strconv.ParseInt(pass, 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number of a pass", pass)
		}
		o.at, what = n, rest
	}
	action, argument, _ := strings.Cut(what, " ")
	switch action {
	case "kill":
		o.act = kill
	case "error":
		o.act = func() error { return ErrInjected }
	case "sleep":
		d, err := time.ParseDuration(argument)
		if err != nil {
			return nil, err
		}
		o.act = func() error { time.Sleep(d); return nil }
	default:
		return nil, fmt.Errorf("%q is not kill, error or sleep", action)
	}
	return o, nil
}

// kill ends the process at once: nothing is flushed, nothing closed.
func kill() error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return err
	}
	select {} // until it has arrived
}
