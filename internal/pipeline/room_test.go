package pipeline

import "testing"

// TestRoom: who is alone has all the room, others have what is left, and at least a
// little; what is given back is there again.
func TestRoom(t *testing.T) {
	t.Parallel()
	const most = 32 << 20
	room := NewRoom(2 * most)
	one, two, three := newShare(room), newShare(room), newShare(room)
	want := func(what string, s *share, want int) {
		t.Helper()
		if got := s.limit(most); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	one.filling.hold(most)
	one.applying.hold(most / 2)
	want("alone", one, most)
	want("beside another", two, most/4)
	two.filling.hold(most / 2)
	want("beside two", three, minLimit)
	want("with another", one, 3*most/4)
	one.filling.hold(0)
	want("after one has given some back", three, most/2)
	one.end()
	two.end()
	want("alone again", three, most)
	want("without a bound", newShare(nil), most)
	if n := room.held.Load(); n != 0 {
		t.Errorf("%d bytes are held by nobody", n)
	}
}
