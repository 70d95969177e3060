package penstock

import (
	"context"
	"errors"
	"testing"
)

// TestLane: one is in it at a time, and content that is reset leaves it.
func TestLane(t *testing.T) {
	t.Parallel()
	l := NewLane()
	var a, b Changes
	for range 2 { // to have entered is enough
		if err := a.Enter(t.Context(), l); err != nil || !a.InLane() {
			t.Fatalf("the lane is not free: %v", err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := b.Enter(ended, l); !errors.Is(err, context.Canceled) || b.InLane() {
		t.Fatalf("a second one enters: %v", err)
	}
	entered := make(chan error)
	go func() { entered <- b.Enter(t.Context(), l) }()
	a.Reset()
	if err := <-entered; err != nil || a.InLane() || !b.InLane() {
		t.Fatalf("the lane is not left: %v", err)
	}
	a.Leave() // is no longer in it
	b.Leave()
	if err := l.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	var none *Lane
	if err := errors.Join(none.Enter(t.Context()), none.Enter(t.Context()), b.Enter(t.Context(), none)); err != nil {
		t.Error(err)
	}
}

// TestVectorGrowsExactly: large values take what they have, and one that is
// pointed to is not written to.
func TestVectorGrowsExactly(t *testing.T) {
	t.Parallel()
	v := NewVector(Type{Kind: TypeText})
	large := make([]byte, 3<<20)
	v.AppendString("small")
	for range 2 {
		v.AppendBytes(large)
	}
	if want := 5 + 2*len(large); cap(v.data) != want {
		t.Errorf("%d bytes for %d", cap(v.data), want)
	}
	v.Reset()
	v = NewVector(Type{Kind: TypeText})
	v.AppendNull()
	v.AppendAlias(large[:2<<20])
	if _, data := v.Varlen(); &data[0] != &large[0] {
		t.Error("the value was copied")
	}
	v.AppendString("more")
	if large[2<<20] != 0 || string(v.Bytes(2)) != "more" || !v.IsNull(0) || v.Len() != 3 {
		t.Error("what follows the value was written to")
	}
	v.Reset()
	v.AppendString("again")
	if large[0] != 0 || string(v.Bytes(0)) != "again" {
		t.Error("the value was written to")
	}
}
