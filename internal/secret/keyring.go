package secret

import (
	"slices"

	"penstock"
)

// KeySize is the length of keys and data keys, in bytes.
const KeySize = 32

// Key is an encryption key.
type Key struct {
	ARN      string
	Names    []string // everything else that it answers to: name, key ID, aliases, ARNs of aliases
	Disabled bool
	Material []byte // KeySize bytes
}

// Keyring holds keys. It is immutable and may be used by several goroutines.
type Keyring struct {
	builtin Key
	keys    []Key
}

// NewKeyring returns a keyring of the built-in key, which stands for none
// having been named, and others. Errors are KindInvalid.
func NewKeyring(builtin Key, others ...Key) (*Keyring, error) {
	for _, k := range append([]Key{builtin}, others...) {
		if len(k.Material) != KeySize {
			return nil, penstock.Errorf(penstock.KindInvalid, "the key %s has %d bytes, and needs %d", k.ARN, len(k.Material), KeySize)
		}
	}
	return &Keyring{builtin, slices.Clone(others)}, nil
}

// Resolve returns the ARN of the key that a KMSKeyId names, of the built-in
// key if it is "". KindKeyNotAccessible if no key has that name, or the one
// that has it is disabled.
func (r *Keyring) Resolve(id string) (arn string, err error) {
	if id == "" {
		return r.builtin.ARN, nil
	}
	k, err := r.find(id)
	return k.ARN, err
}

// find returns a key that may be used.
func (r *Keyring) find(id string) (Key, error) {
	for _, k := range append([]Key{r.builtin}, r.keys...) {
		if k.ARN != id && !slices.Contains(k.Names, id) {
			continue
		}
		if k.Disabled {
			return Key{}, &penstock.Error{Kind: penstock.KindKeyNotAccessible, Code: penstock.ProblemKeyNotAccessible,
				Message: "The KMS key " + id + " is disabled", Mend: "set enabled: true for it under kms_keys, and restart"}
		}
		return k, nil
	}
	return Key{}, &penstock.Error{Kind: penstock.KindKeyNotAccessible, Code: penstock.ProblemKeyNotAccessible,
		Message: "The KMS key " + id + " does not exist or cannot be accessed", Mend: "name a key that is under kms_keys"}
}
