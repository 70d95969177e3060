package secret

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"penstock"
)

func material(b byte) []byte { return bytes.Repeat([]byte{b}, KeySize) }

func ring(t testing.TB, disabled bool) *Keyring {
	t.Helper()
	r, err := NewKeyring(Key{ARN: "arn:builtin", Material: material(1)},
		Key{ARN: "arn:app", Names: []string{"app", "id", "alias/app", "arn:alias/app"}, Material: material(2), Disabled: disabled},
		Key{ARN: "arn:old", Names: []string{"old"}, Material: material(3)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantNotAccessible(t *testing.T, err error, text string) {
	t.Helper()
	if penstock.KindOf(err) != penstock.KindKeyNotAccessible || penstock.ProblemOf(err) != penstock.ProblemKeyNotAccessible ||
		!strings.Contains(err.Error(), text) {
		t.Errorf("the error is %v", err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	r := ring(t, false)
	for id, want := range map[string]string{
		"": "arn:builtin", "arn:builtin": "arn:builtin",
		"app": "arn:app", "id": "arn:app", "alias/app": "arn:app", "arn:alias/app": "arn:app", "arn:app": "arn:app", "old": "arn:old",
	} {
		if got, err := r.Resolve(id); err != nil || got != want {
			t.Errorf("Resolve(%q): %q, %v; want %q", id, got, err, want)
		}
	}
	for _, id := range []string{"App", "alias/none", "arn:none", " "} {
		_, err := r.Resolve(id)
		wantNotAccessible(t, err, id)
	}
	_, err := ring(t, true).Resolve("alias/app")
	wantNotAccessible(t, err, "disabled")
	if _, err := NewKeyring(Key{ARN: "a", Material: material(1)[1:]}); penstock.KindOf(err) != penstock.KindInvalid {
		t.Errorf("a short key: %v", err)
	}
}

func TestDataKeys(t *testing.T) {
	t.Parallel()
	r := ring(t, false)
	context := map[string]string{"dept": "sales", "a": ""}
	wrapped, err := r.NewDataKey("arn:app", context)
	if err != nil {
		t.Fatal(err)
	}
	key, err := r.Unwrap("arn:app", maps.Clone(context), wrapped)
	if err != nil || len(key.Reveal()) != KeySize || bytes.Equal(key.Reveal(), make([]byte, KeySize)) {
		t.Fatalf("Unwrap: %v", err)
	}
	again, err := r.NewDataKey("arn:app", context)
	if err != nil || bytes.Equal(again, wrapped) {
		t.Error("two data keys are the same")
	}
	if bytes.Contains(wrapped, key.Reveal()) || strings.Contains(fmt.Sprintf("%v %+v %#v %s", key, key, key, key), fmt.Sprint(key.Reveal()[0])+" ") {
		t.Error("the data key shows")
	}

	for name, context := range map[string]map[string]string{
		"none": nil, "less": {"dept": "sales"}, "more": {"dept": "sales", "a": "", "b": ""}, "another value": {"dept": "sale", "a": "s"},
	} {
		_, err := r.Unwrap("arn:app", context, wrapped)
		t.Run(name, func(t *testing.T) { wantNotAccessible(t, err, "arn:app") })
	}
	_, err = r.Unwrap("arn:old", context, wrapped)
	wantNotAccessible(t, err, "other material")
	_, err = ring(t, true).Unwrap("arn:app", context, wrapped)
	wantNotAccessible(t, err, "disabled")
	_, err = ring(t, true).NewDataKey("arn:app", context)
	wantNotAccessible(t, err, "disabled")
	for i := range wrapped {
		changed := bytes.Clone(wrapped)
		changed[i] ^= 1
		_, err = r.Unwrap("arn:app", context, changed)
		wantNotAccessible(t, err, "arn:app")
	}
	for _, n := range []int{0, 1, len(wrapped) - 1} {
		_, err = r.Unwrap("arn:app", context, wrapped[:n])
		wantNotAccessible(t, err, "arn:app")
	}
}

// TestContextIsUnambiguous: different contexts are never the same bytes.
func TestContextIsUnambiguous(t *testing.T) {
	t.Parallel()
	pairs := rapid.MapOfN(rapid.StringMatching(`[ab\x00]{0,3}`), rapid.StringMatching(`[ab\x00]{0,3}`), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := pairs.Draw(t, "a"), pairs.Draw(t, "b")
		if maps.Equal(a, b) != bytes.Equal(authenticated(a), authenticated(b)) {
			t.Fatalf("%v and %v", a, b)
		}
	})
}
