package measure

import (
	"runtime"
	"time"
)

// Meter tells how much CPU time something has taken so far. It is asked at
// both ends of a window.
type Meter func() (time.Duration, error)

// Window is what was measured between Open and Close.
type Window struct {
	Wall time.Duration
	CPU  map[string]time.Duration // by the names of the meters
	// Others is the CPU time that the machine spent on what no meter knows,
	// Stolen what a hypervisor kept from it, both as parts of what its CPUs had
	// to give: 0.1 is a tenth.
	Others, Stolen float64

	meters       map[string]Meter
	began        time.Time
	busy, stolen time.Duration
}

// Open begins a window.
func Open(meters map[string]Meter) (*Window, error) {
	w := &Window{meters: meters, CPU: map[string]time.Duration{}}
	for name, m := range meters {
		t, err := m()
		if err != nil {
			return nil, err
		}
		w.CPU[name] = -t
	}
	var err error
	if w.busy, w.stolen, err = machineBusy(); err != nil {
		return nil, err
	}
	w.began = time.Now()
	return w, nil
}

// Close ends the window. It is called once.
func (w *Window) Close() error {
	w.Wall = time.Since(w.began)
	var known time.Duration
	for name, m := range w.meters {
		t, err := m()
		if err != nil {
			return err
		}
		w.CPU[name] += t
		known += w.CPU[name]
	}
	busy, stolen, err := machineBusy()
	if err != nil {
		return err
	}
	capacity := float64(w.Wall) * float64(runtime.NumCPU())
	w.Others = max(0, float64(busy-w.busy-known)/capacity)
	w.Stolen = float64(stolen-w.stolen) / capacity
	return nil
}

// Disturbed is the part of the machine that was not to be had: what others took,
// and what a hypervisor kept from it.
func (w *Window) Disturbed() float64 { return w.Others + w.Stolen }
