package app

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"penstock"
	"penstock/internal/config"
	"penstock/internal/control"
	"penstock/internal/secret"
)

// builtinKeyName is the file in the data folder that holds the key of
// integrations that name none.
const builtinKeyName = "kms.key"

// openKeys makes the keyring of the configured keys and the built-in one.
func openKeys(cfg *config.Config) (*secret.Keyring, error) {
	scope := scopeOf(cfg)
	material, err := builtinKey(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	id := scope.KeyID("")
	builtin := secret.Key{ARN: scope.KeyARN(id), Names: []string{id}, Material: material}
	var keys []secret.Key
	for _, k := range cfg.KMSKeys {
		id := scope.KeyID(k.Name)
		key := secret.Key{ARN: scope.KeyARN(id), Names: []string{k.Name, id}, Disabled: !k.Enabled, Material: []byte(k.Secret.Reveal())}
		for _, alias := range k.Aliases {
			key.Names = append(key.Names, alias, scope.AliasARN(alias))
		}
		keys = append(keys, key)
	}
	return secret.NewKeyring(builtin, keys...)
}

// KeyARNs returns the ARNs of the configured keys by their names.
func KeyARNs(cfg *config.Config) map[string]string {
	arns, scope := map[string]string{}, scopeOf(cfg)
	for _, k := range cfg.KMSKeys {
		arns[k.Name] = scope.KeyARN(scope.KeyID(k.Name))
	}
	return arns
}

// builtinKey returns the key that is kept in the data folder, which is made
// the first time. It appears under its name only when all of it is on disk.
func builtinKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, builtinKeyName)
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == secret.KeySize:
		return key, nil
	case err == nil:
		return nil, &penstock.Error{Kind: penstock.KindInvalid, Op: "read " + path, Message: "the built-in key is damaged",
			Mend: "restore the file from a backup; without it what it has encrypted cannot be read"}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, folderError(dir, err)
	}
	key = make([]byte, secret.KeySize)
	_, _ = rand.Read(key) // never fails
	if err := writeFile(path, key); err != nil {
		return nil, folderError(dir, err)
	}
	return key, nil
}

// writeFile writes a file that only its owner may read, all of it or nothing.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// dataKey returns the key that encrypts what is kept of an integration outside
// of its destination databases. KindKeyNotAccessible if the key that wraps it
// is not there or disabled, and then the integration must not go on.
func (a *App) dataKey(in penstock.Integration) (secret.DataKey, error) {
	return a.keys.Unwrap(in.KMSKeyID, control.KeyContext(in), in.WrappedKey)
}

func scopeOf(cfg *config.Config) control.Scope {
	return control.Scope{Partition: cfg.Partition(), Region: cfg.Region, Account: cfg.Account}
}
