package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc: the kernel's USER_HZ, which is 100 on
// every architecture that Go runs on.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat says of a process.
type stat struct {
	parent int
	own    time.Duration // user and system time
	waited time.Duration // the same of its children that have ended
}

func parseStat(text []byte) (stat, error) {
	// The name of the program is in parentheses and may hold anything.
	i := bytes.LastIndexByte(text, ')')
	if i < 0 {
		return stat{}, fmt.Errorf("not a process's state: %q", text)
	}
	f := strings.Fields(string(text[i+1:]))
	if len(f) < 15 {
		return stat{}, fmt.Errorf("not a process's state: %q", text)
	}
	var n [5]int64
	for k, at := range []int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		v, err := strconv.ParseInt(f[at], 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("not a process's state: %q", text)
		}
		n[k] = v
	}
	return stat{parent: int(n[0]), own: time.Duration(n[1]+n[2]) * tick, waited: time.Duration(n[3]+n[4]) * tick}, nil
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// CPU returns the CPU time that a process has taken since it started, with its
// children that have ended. An error means that there is no such process.
func CPU(pid int) (time.Duration, error) {
	s, err := readStat(pid)
	return s.own + s.waited, err
}

// TreeCPU returns the CPU time that a process and all its descendants have
// taken, those that have ended included if they were waited for.
func TreeCPU(pid int) (sum time.Duration, err error) {
	for range 20 {
		var whole bool
		if sum, whole, err = treeCPU(pid); whole || err != nil {
			break
		}
	}
	return sum, err
}

// treeCPU also says whether no process ended meanwhile: what it took may be neither
// in the sum nor in that of the one that waited for it, which was read before.
func treeCPU(pid int) (sum time.Duration, whole bool, err error) {
	pids, err := descendants(pid)
	if err != nil {
		return 0, false, err
	}
	whole = true
	for i, p := range pids {
		s, err := readStat(p)
		switch {
		case err == nil:
			sum += s.own + s.waited
		case i == 0:
			return 0, false, err
		default:
			whole = false
		}
	}
	return sum, whole, nil
}

// descendants returns a process, first, and those below it.
func descendants(pid int) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, f := range files {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			continue
		}
		if s, err := readStat(child); err == nil {
			children[s.parent] = append(children[s.parent], child)
		}
	}
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out, nil
}

// PeakRSS returns the most memory that a process has had resident since it
// started or since ForgetPeak, in bytes.
func PeakRSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no peak of its memory", pid)
}

// ForgetPeak has PeakRSS count anew from what is resident now.
func ForgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// machineBusy returns the CPU time that all CPUs of the machine were at work,
// and that a hypervisor took from them, since it started.
func machineBusy() (busy, stolen time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseMachine(string(b))
}

func parseMachine(text string) (busy, stolen time.Duration, err error) {
	first, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(first)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0, fmt.Errorf("not a machine's state: %q", first)
	}
	for i, s := range f[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("not a machine's state: %q", first)
		}
		switch i {
		case 3, 4:
		case 7:
			stolen = time.Duration(n) * tick
		default:
			busy += time.Duration(n) * tick
		}
	}
	return busy, stolen, nil
}
