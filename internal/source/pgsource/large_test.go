package pgsource

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"penstock"
)

// TestLargePieces reads a message that comes in pieces of any size: values are
// what they were, and what is left unread is skipped.
func TestLargePieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.SliceOf(rapid.Byte()).Draw(rt, "value")
		hexed := fmt.Appendf(nil, `\x%x`, value)
		message := append(append([]byte("ab"), value...), hexed...)
		message = append(message, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "unread")...)
		at, after := 0, []byte("the next message")
		all := append(bytes.Clone(message), after...)
		r := &rest{unread: len(message), fetch: func(consumed, n int) ([]byte, error) {
			at += consumed
			return all[at:min(at+n+rapid.IntRange(0, 9).Draw(rt, "more"), len(all))], nil
		}}
		w := wire{rest: r}
		if w.byte() != 'a' || w.byte() != 'b' || w.left() != len(message)-2 {
			rt.Fatalf("the beginning is wrong, %d bytes left", w.left())
		}
		v := penstock.NewVector(penstock.Type{Kind: penstock.TypeBytes})
		noErrorIn(rt, r.value(&w, &v, len(value), formPlain))
		noErrorIn(rt, r.value(&w, &v, len(hexed), formHex))
		noErrorIn(rt, r.finish(&w, nil))
		if !bytes.Equal(v.Bytes(0), value) || !bytes.Equal(v.Bytes(1), value) {
			rt.Errorf("%x and %x instead of %x", v.Bytes(0), v.Bytes(1), value)
		}
		if at != len(message) || !bytes.Equal(all[at:], after) {
			rt.Errorf("%d bytes of %d were read", at, len(message))
		}
	})
}

func noErrorIn(rt *rapid.T, err error) {
	rt.Helper()
	if err != nil {
		rt.Fatal(err)
	}
}

// TestLargePiecesShort: a message that is shorter than its values say is an error.
func TestLargePiecesShort(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]form{"plain": formPlain, "digits": formHex} {
		b := []byte(`\x6162`)
		r := &rest{unread: len(b), fetch: func(consumed, n int) ([]byte, error) {
			b = b[consumed:]
			return b, nil
		}}
		v := penstock.NewVector(penstock.Type{Kind: penstock.TypeBytes})
		if err := r.value(&wire{rest: r}, &v, 100, f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r := &rest{unread: 4, fetch: func(int, int) ([]byte, error) { return []byte("6162"), nil }}
	v := penstock.NewVector(penstock.Type{Kind: penstock.TypeBytes})
	if err := r.value(&wire{rest: r}, &v, 4, formHex); err == nil {
		t.Error("digits without a beginning are taken")
	}
}
