package spill

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"

	"penstock"
)

// spillFile implements penstock.SpillFile.
type spillFile struct {
	folder *Folder
	file   *os.File
	aead   cipher.AEAD

	sizes []uint32 // of the blocks, as they are on disk
	end   int64    // where the next one goes
	read  int      // blocks that Next has returned
	from  int64    // where the next of them is
}

// Append implements penstock.SpillFile.
func (f *spillFile) Append(block []byte) error {
	if len(block) == 0 || len(block) > math.MaxUint32-f.aead.Overhead() {
		return penstock.Errorf(penstock.KindInternal, "a block of %d bytes cannot be spilled", len(block))
	}
	scratch := f.folder.scratch.Get().(*[]byte)
	defer f.folder.scratch.Put(scratch)
	sealed := f.aead.Seal((*scratch)[:0], nonce(len(f.sizes)), block, nil)
	*scratch = sealed
	if _, err := f.file.WriteAt(sealed, f.end); err != nil {
		return f.folder.fault("write a spill file in "+f.folder.dir, err)
	}
	f.sizes = append(f.sizes, uint32(len(sealed)))
	f.end += int64(len(sealed))
	return nil
}

// Next implements penstock.SpillFile.
func (f *spillFile) Next(dst []byte) ([]byte, error) {
	if f.read == len(f.sizes) {
		return dst, io.EOF
	}
	n := int(f.sizes[f.read])
	dst = slices.Grow(dst, n)
	sealed := dst[len(dst) : len(dst)+n]
	if _, err := f.file.ReadAt(sealed, f.from); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // so that it is not taken for the end
		}
		return dst, f.folder.fault("read a spill file in "+f.folder.dir, err)
	}
	out, err := f.aead.Open(dst, nonce(f.read), sealed, nil)
	if err != nil {
		return dst, penstock.Errorf(penstock.KindInternal, "block %d of a spill file in %s is not what was written: %w", f.read, f.folder.dir, err)
	}
	f.read++
	f.from += int64(n)
	return out, nil
}

// Close implements penstock.SpillFile.
func (f *spillFile) Close() error { return f.file.Close() }

// nonce is that of a block, by its number.
func nonce(block int) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n[4:], uint64(block))
	return n
}
