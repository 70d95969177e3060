package control

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"strings"

	"penstock"
)

// newID returns a random UUID (version 4).
func newID() penstock.IntegrationID {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return penstock.IntegrationID(formatUUID(b, 4))
}

// nameSpace is the UUID under which names of ours are hashed. It must never
// change, since ARNs that users wrote down depend on it.
var nameSpace = [16]byte{0x5b, 0x0e, 0x9a, 0x51, 0x7d, 0x3c, 0x4e, 0x1f, 0x8c, 0x62, 0x1d, 0x0a, 0x94, 0xe7, 0x3b, 0x26}

// nameUUID returns a UUID that is the same for the same names (version 5).
func nameUUID(names ...string) string {
	sum := sha1.Sum(append(nameSpace[:], strings.Join(names, "\x00")...))
	return formatUUID([16]byte(sum[:16]), 5)
}

func formatUUID(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
