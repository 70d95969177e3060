//go:build !linux

package spill

import "os"

func createNameless(dir string) (*os.File, error) { return createUnlinked(dir) }
