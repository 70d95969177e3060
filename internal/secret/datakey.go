package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"slices"

	"penstock"
)

// DataKey is the key by which the data of one integration is encrypted. It
// shows itself to those only who reveal it.
type DataKey struct{ bytes [KeySize]byte }

// Reveal returns the key.
func (k DataKey) Reveal() []byte { return slices.Clone(k.bytes[:]) }

func (k DataKey) String() string { return "***" }

// GoString keeps the key out of %#v.
func (k DataKey) GoString() string { return "secret.DataKey(***)" }

// The wrapped form: version, nonce, then the encrypted key with its tag.
const (
	version   = 1
	nonceSize = 12
)

// NewDataKey makes a data key and returns it wrapped by the key with that ARN
// and bound to the encryption context. KindKeyNotAccessible.
func (r *Keyring) NewDataKey(arn string, context map[string]string) (wrapped []byte, err error) {
	k, err := r.find(arn)
	if err != nil {
		return nil, err
	}
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	var data DataKey
	_, _ = rand.Read(data.bytes[:]) // never fails
	head := make([]byte, 1+nonceSize, 1+nonceSize+KeySize+aead.Overhead())
	head[0] = version
	_, _ = rand.Read(head[1:])
	return aead.Seal(head, head[1:], data.bytes[:], authenticated(context)), nil
}

// Unwrap returns the data key that NewDataKey has wrapped with that key and
// context. KindKeyNotAccessible, also if it was wrapped with others or has been
// changed since.
func (r *Keyring) Unwrap(arn string, context map[string]string, wrapped []byte) (DataKey, error) {
	k, err := r.find(arn)
	if err != nil {
		return DataKey{}, err
	}
	aead, err := k.aead()
	if err != nil {
		return DataKey{}, err
	}
	var data DataKey
	if len(wrapped) != 1+nonceSize+KeySize+aead.Overhead() || wrapped[0] != version {
		return DataKey{}, notUnwrapped(arn)
	}
	plain, err := aead.Open(nil, wrapped[1:1+nonceSize], wrapped[1+nonceSize:], authenticated(context))
	if err != nil {
		return DataKey{}, notUnwrapped(arn)
	}
	copy(data.bytes[:], plain)
	return data, nil
}

func notUnwrapped(arn string) error {
	return &penstock.Error{Kind: penstock.KindKeyNotAccessible, Code: penstock.ProblemKeyNotAccessible,
		Message: "The KMS key " + arn + " cannot unwrap the integration's data key: it has other material than when the integration was created",
		Mend:    "restore the key's secret, or delete the integration and create it again"}
}

func (k Key) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.Material)
	if err != nil {
		return nil, penstock.Errorf(penstock.KindInternal, "use key %s: %w", k.ARN, err)
	}
	return cipher.NewGCM(block)
}

// authenticated returns an encryption context as bytes, the same for the same
// pairs and different for different ones.
func authenticated(context map[string]string) []byte {
	b := []byte("penstock data key")
	add := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	for _, key := range slices.Sorted(maps.Keys(context)) {
		add(key)
		add(context[key])
	}
	return b
}
