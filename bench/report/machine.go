package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine is where and with what something was measured.
type Machine struct {
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	Memory   int64  `json:"memory"` // bytes
	Kernel   string `json:"kernel"`
	Penstock string `json:"penstock"` // the version measured
	Postgres string `json:"postgres"`
	DuckDB   string `json:"duckdb"`
	Go       string `json:"go"`
}

// ThisMachine returns what can be known without asking the programs.
func ThisMachine() Machine {
	return Machine{CPU: field("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(), Memory: memory(), Kernel: kernel(), Go: runtime.Version()}
}

func memory() (bytes int64) {
	_, _ = fmt.Sscan(field("/proc/meminfo", "MemTotal"), &bytes)
	return bytes << 10
}

func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}

// field returns the value of the first line "name: value" of a file.
func field(path, name string) string {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (m Machine) String() string {
	return fmt.Sprintf("%d × %s, %.1f GiB, Linux %s; penstock %s (%s, DuckDB %s), PostgreSQL %s", m.CPUs, m.CPU, float64(m.Memory)/(1<<30), m.Kernel, m.Penstock, m.Go, m.DuckDB, m.Postgres)
}
