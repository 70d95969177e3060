package spill

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// createNameless makes a file without a name, which the kernel removes when
// the process ends, however that happens. Some file systems cannot.
func createNameless(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR|unix.O_EXCL, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENOENT) {
		return createUnlinked(dir)
	}
	return f, err
}
