package spill

import (
	"errors"
	"os"
)

// createUnlinked makes a file and takes its name away at once.
func createUnlinked(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "stream-") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
