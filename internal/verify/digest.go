package verify

import "sync"

// digest is what is kept of the rows of one side of a table.
type digest struct {
	mu      sync.Mutex
	buckets []bucket // a power of two
	rows    int64
}

// bucket is the multiset of the rows whose keys' hashes end alike: their
// number, and two sums of what their hashes are made into. Two of them are
// equal if and only if their rows are, but for an accident.
type bucket struct{ count, sum, other uint64 }

const (
	minBuckets = 1 << 10
	maxBuckets = 1 << 18 // 6 MiB on each side
	// bucketRows is how many rows a bucket is to have: all of them are looked
	// at again if one differs.
	bucketRows = 256
)

// newDigest returns a digest for about that many rows.
func newDigest(rows int64) *digest {
	n := minBuckets
	for n < maxBuckets && int64(n)*bucketRows < rows {
		n *= 2
	}
	return &digest{buckets: make([]bucket, n)}
}

// in returns the number of the bucket of a key.
func (d *digest) in(key uint64) int { return int(key & uint64(len(d.buckets)-1)) }

// add adds rows, by the hashes of their keys and of all of each.
func (d *digest) add(keys, rows []uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows += int64(len(rows))
	for i, row := range rows {
		b := &d.buckets[d.in(keys[i])]
		b.count++
		b.sum += row
		b.other += mix(row, row>>32|row<<32)
	}
}

// differing returns the numbers of the buckets that are not equal.
func (d *digest) differing(o *digest) (out []int) {
	for i := range d.buckets {
		if d.buckets[i] != o.buckets[i] {
			out = append(out, i)
		}
	}
	return out
}
