package pipeline

import "time"

// speed measures rows and bytes per second over the last ten seconds.
type speed struct {
	slots [speedSeconds + 1]struct {
		second      int64 // since 1970
		rows, bytes int64
	}
}

const speedSeconds = 10

func (s *speed) add(rows, bytes int64) {
	now := time.Now().Unix()
	slot := &s.slots[now%int64(len(s.slots))]
	if slot.second != now {
		slot.second, slot.rows, slot.bytes = now, 0, 0
	}
	slot.rows += rows
	slot.bytes += bytes
}

// now returns the speeds over the last ten whole seconds.
func (s *speed) now() (rows, bytes float64) {
	now := time.Now().Unix()
	for i := range s.slots {
		if slot := &s.slots[i]; slot.second < now && slot.second >= now-speedSeconds {
			rows += float64(slot.rows)
			bytes += float64(slot.bytes)
		}
	}
	return rows / speedSeconds, bytes / speedSeconds
}
