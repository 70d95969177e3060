package app

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/config"
	"penstock/internal/control"
)

func keyConfig(t *testing.T, kmsKeys string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "penstock.yaml")
	if err := os.WriteFile(path, []byte("account: \"123456789012\"\ndata_dir: .\n"+kmsKeys), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestBuiltinKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := builtinKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := builtinKey(dir)
	if err != nil || !bytes.Equal(first, again) || bytes.Equal(first, make([]byte, len(first))) {
		t.Errorf("another key the second time, %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, builtinKeyName), first[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := builtinKey(dir); penstock.KindOf(err) != penstock.KindInvalid || !strings.Contains(err.Error(), builtinKeyName) {
		t.Errorf("a damaged key: %v", err)
	}
}

func TestKeysAreFoundByEveryName(t *testing.T) {
	t.Parallel()
	const secretText = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	cfg := keyConfig(t, `kms_keys: {app: {secret: "`+secretText+`", aliases: [alias/app, alias/team/app]}, old: {secret: "`+secretText+`", enabled: false}}`)
	keys, err := openKeys(cfg)
	if err != nil {
		t.Fatal(err)
	}
	id := scopeOf(cfg).KeyID("app")
	want := "arn:aws:kms:us-east-1:123456789012:key/" + id
	for _, name := range []string{"app", id, want, "alias/app", "alias/team/app", "arn:aws:kms:us-east-1:123456789012:alias/app"} {
		if got, err := keys.Resolve(name); err != nil || got != want {
			t.Errorf("%s is %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"old", "alias/none", "arn:aws:kms:us-east-1:210987654321:key/" + id} {
		if _, err := keys.Resolve(name); penstock.KindOf(err) != penstock.KindKeyNotAccessible {
			t.Errorf("%s: %v", name, err)
		}
	}

	// An integration's data key is the same after a restart, and not to be had
	// with another context.
	in := penstock.Integration{ARN: "arn:x", KMSKeyID: want, EncryptionContext: map[string]string{"dept": "sales"}}
	if in.WrappedKey, err = keys.NewDataKey(want, control.KeyContext(in)); err != nil {
		t.Fatal(err)
	}
	a := &App{keys: keys}
	first, err := a.dataKey(in)
	if err != nil {
		t.Fatal(err)
	}
	if a.keys, err = openKeys(cfg); err != nil {
		t.Fatal(err)
	}
	if again, err := a.dataKey(in); err != nil || !slices.Equal(first.Reveal(), again.Reveal()) {
		t.Errorf("another data key after a restart, %v", err)
	}
	other := in
	other.EncryptionContext = maps.Clone(in.EncryptionContext)
	other.EncryptionContext["dept"] = "else"
	if _, err := a.dataKey(other); penstock.KindOf(err) != penstock.KindKeyNotAccessible {
		t.Errorf("with another context: %v", err)
	}
}
