package verify

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"

	"penstock"
)

// hasher hashes rows. Its hashes are its own: another one's are different.
type hasher struct {
	seed   maphash.Seed
	factor uint64
	null   uint64
	start  uint64
}

func newHasher() *hasher {
	return &hasher{seed: maphash.MakeSeed(), factor: rand.Uint64() | 1, null: rand.Uint64(), start: rand.Uint64()}
}

// mix is the core of wyhash: both halves of a product depend on all bits.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xe7037ed1a0b428db)
	return hi ^ lo
}

// rows sets out to the hashes of rows over some columns, and returns it.
func (h *hasher) rows(rows *penstock.Rows, columns []int, out []uint64) []uint64 {
	out = out[:0]
	for range rows.Len() {
		out = append(out, h.start)
	}
	for _, c := range columns {
		h.column(&rows.Vectors[c], out)
	}
	for i, x := range out {
		out[i] = mix(x, h.factor)
	}
	return out
}

// column adds a column to the hashes.
func (h *hasher) column(v *penstock.Vector, out []uint64) {
	add := func(i int, x uint64) {
		if v.IsNull(i) {
			x = h.null
		}
		out[i] = mix(out[i]+h.factor, x)
	}
	fixed := v.Fixed()
	switch v.Type().Width() {
	case 0:
		for i := range out {
			add(i, maphash.Bytes(h.seed, v.Bytes(i)))
		}
	case 1:
		for i := range out {
			add(i, uint64(fixed[i]))
		}
	case 2:
		for i := range out {
			add(i, uint64(binary.LittleEndian.Uint16(fixed[2*i:])))
		}
	case 4:
		if v.Type().Kind == penstock.TypeFloat32 {
			for i := range out {
				add(i, uint64(math.Float32bits(canonical(v.Float32(i)))))
			}
			return
		}
		for i := range out {
			add(i, uint64(binary.LittleEndian.Uint32(fixed[4*i:])))
		}
	case 8:
		if v.Type().Kind == penstock.TypeFloat64 {
			for i := range out {
				add(i, math.Float64bits(canonical(v.Float64(i))))
			}
			return
		}
		for i := range out {
			add(i, binary.LittleEndian.Uint64(fixed[8*i:]))
		}
	default:
		for i := range out {
			add(i, mix(binary.LittleEndian.Uint64(fixed[16*i:])+h.factor, binary.LittleEndian.Uint64(fixed[16*i+8:])))
		}
	}
}

// canonical returns x, the same NaN for all of them, and 0 for -0.
func canonical[T float32 | float64](x T) T {
	switch {
	case x != x:
		return T(math.NaN())
	case x == 0:
		return 0
	}
	return x
}

// equal reports whether two values of one type are equal.
func equal(a *penstock.Vector, i int, b *penstock.Vector, j int) bool {
	if a.IsNull(i) || b.IsNull(j) {
		return a.IsNull(i) && b.IsNull(j)
	}
	switch a.Type().Kind {
	case penstock.TypeFloat32:
		x, y := canonical(a.Float32(i)), canonical(b.Float32(j))
		return math.Float32bits(x) == math.Float32bits(y)
	case penstock.TypeFloat64:
		x, y := canonical(a.Float64(i)), canonical(b.Float64(j))
		return math.Float64bits(x) == math.Float64bits(y)
	}
	return string(a.Raw(i)) == string(b.Raw(j))
}
