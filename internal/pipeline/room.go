package pipeline

import "sync/atomic"

// Room is memory, in bytes, for the rows that the streams of a process have in hand.
// Whoever has the room to himself fills it; the more there is of others, the smaller
// are the batches.
type Room struct {
	bytes int64
	held  atomic.Int64
}

// NewRoom returns an empty room.
func NewRoom(bytes int64) *Room { return &Room{bytes: bytes} }

// share is what one stream has of a Room, in the content that is being filled and in
// that which is being applied.
type share struct {
	room              *Room
	filling, applying part
}

type part struct {
	room *Room
	held atomic.Int64
}

// newShare returns a share of nothing yet. If room is nil there is no bound.
func newShare(room *Room) *share {
	if room == nil {
		room = &Room{bytes: 1 << 62}
	}
	return &share{room: room, filling: part{room: room}, applying: part{room: room}}
}

// limit returns how large a content may get, most at the most.
func (s *share) limit(most int) int {
	free := s.room.bytes - s.room.held.Load() + s.filling.held.Load() + s.applying.held.Load()
	return min(most, max(minLimit, int(free/2)))
}

// hold notes what a part holds now.
func (p *part) hold(bytes int) { p.room.held.Add(int64(bytes) - p.held.Swap(int64(bytes))) }

func (s *share) end() {
	s.filling.hold(0)
	s.applying.hold(0)
}
