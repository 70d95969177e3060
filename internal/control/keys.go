package control

import (
	"context"
	"maps"

	"github.com/google/uuid"

	"penstock"
)

// Keyring has the encryption keys that integrations may name. Its errors are
// KindKeyNotAccessible. Package secret implements it.
type Keyring interface {
	// Resolve returns the ARN of the key that a KMSKeyId names, of the
	// built-in key if it is "".
	Resolve(id string) (arn string, err error)
	// NewDataKey makes a data key for an integration and returns it encrypted
	// by the key with that ARN, bound to the encryption context.
	NewDataKey(arn string, context map[string]string) (wrapped []byte, err error)
}

// KeyContext returns the encryption context that an integration's data key is
// bound to: what the user gave, and the two pairs that the service adds.
func KeyContext(in penstock.Integration) map[string]string {
	c := maps.Clone(in.EncryptionContext)
	if c == nil {
		c = make(map[string]string, 2)
	}
	c["aws:redshift:integration:arn"] = in.ARN
	c["aws:servicename:id"] = "Redshift"
	return c
}

// keyRoot is the root of the IDs of keys. It must never change, since users
// may have written their ARNs down.
var keyRoot = uuid.MustParse("5b0e9a51-7d3c-5e1f-8c62-1d0a94e73b26")

// KeyID returns the ID of a configured key; name is "" for the built-in one,
// which stands for none having been named.
func (s Scope) KeyID(name string) string {
	path := s.Account + "/" + s.Region
	if name != "" {
		path += "/" + name
	}
	return uuid.NewSHA1(keyRoot, []byte(path)).String()
}

// KeyARN returns the ARN of the key with that ID.
func (s Scope) KeyARN(id string) string { return s.arn("kms", "key/"+id) }

// AliasARN returns the ARN of a key's alias: "alias/app".
func (s Scope) AliasARN(alias string) string { return s.arn("kms", alias) }

// keyed gives an integration that was created before there were data keys one.
// If that cannot be done now, its streams will say why.
func (k *keeper) keyed(ctx context.Context, in penstock.Integration) error {
	if len(in.WrappedKey) > 0 {
		return nil
	}
	wrapped, err := k.s.cfg.Keys.NewDataKey(in.KMSKeyID, KeyContext(in))
	if err != nil {
		return nil
	}
	return k.change(ctx, func(e *edit) error {
		if len(e.WrappedKey) > 0 {
			return errUnchanged
		}
		e.WrappedKey = wrapped
		return nil
	})
}
