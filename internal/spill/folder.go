package spill

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"penstock"
)

// Folder implements penstock.Spill in a folder.
type Folder struct {
	dir     string
	key     []byte
	scratch sync.Pool // of *[]byte, for sealed blocks
}

var _ penstock.Spill = (*Folder)(nil)

// New returns the Spill that makes files in a folder, encrypted with a data
// key. The folder is made when the first file is.
func New(dir string, key []byte) *Folder {
	return &Folder{dir: dir, key: key, scratch: sync.Pool{New: func() any { return new([]byte) }}}
}

// Create implements penstock.Spill.
func (f *Folder) Create() (penstock.SpillFile, error) {
	aead, err := f.fileKey()
	if err != nil {
		return nil, penstock.Errorf(penstock.KindInternal, "derive the key of a spill file: %w", err)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, f.fault("make the folder "+f.dir, err)
	}
	file, err := createNameless(f.dir)
	if err != nil {
		return nil, f.fault("make a spill file in "+f.dir, err)
	}
	return &spillFile{folder: f, file: file, aead: aead}, nil
}

// fileKey derives a key for one file, so that a nonce that counts blocks is
// never used twice with one key.
func (f *Folder) fileKey() (cipher.AEAD, error) {
	salt := make([]byte, sha256.Size)
	_, _ = rand.Read(salt) // never fails
	key, err := hkdf.Key(sha256.New, f.key, salt, "penstock spill file", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// fault classifies what the file system says.
func (f *Folder) fault(op string, err error) error {
	e := &penstock.Error{Kind: penstock.KindInternal, Op: op, Err: err}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		e.Kind, e.Code = penstock.KindFull, penstock.ProblemDiskFull
		e.Message = "the disk that holds " + f.dir + " is full, and a transaction that is not committed yet needs more room there"
		e.Err = cause(err)
		e.Mend = "free space on the disk of " + f.dir
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		e.Kind, e.Err = penstock.KindSetting, cause(err)
		e.Mend = "make " + f.dir + " a folder that this user can write to"
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		e.Kind, e.Err = penstock.KindSetting, cause(err)
		e.Mend = "raise the limit on open files (ulimit -n)"
	case errors.Is(err, os.ErrClosed):
		e.Kind = penstock.KindUnreachable
	}
	return e
}

// cause returns an error of the system without the path, which is ours to tell.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
