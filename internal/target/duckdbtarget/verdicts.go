package duckdbtarget

import "sync"

// verdicts remembers what the police has let pass, for statements that come again
// and again. The zero value is ready, for any number of goroutines.
type verdicts struct {
	mu    sync.Mutex
	known map[string]verdict
	bytes int // of their texts
}

const (
	longestKnown = 64 << 10 // of a statement
	mostKnown    = 2 << 20  // of all of them together; then it begins anew
)

func (k *verdicts) find(sql string) (verdict, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.known[sql]
	return v, ok
}

func (k *verdicts) add(sql string, v verdict) {
	if len(sql) > longestKnown {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.known[sql]; ok {
		return
	}
	if k.known == nil || k.bytes+len(sql) > mostKnown {
		k.known, k.bytes = map[string]verdict{}, 0
	}
	k.known[sql] = v
	k.bytes += len(sql)
}
