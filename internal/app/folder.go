package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"penstock"
)

// lockFolder makes the data folder if needed and locks it for this process.
// The lock goes with the process, however that ends.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, folderError(dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, folderError(dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.Read(holder)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			who := "another process"
			if n > 0 {
				who = "process " + string(holder[:n])
			}
			return nil, &penstock.Error{Kind: penstock.KindConflict, Op: "open data_dir " + dir, Message: "it is in use by " + who,
				Mend: "stop that one, or give this one a data_dir of its own"}
		}
		return nil, folderError(dir, err)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, folderError(dir, err)
	}
	fmt.Fprintf(f, "%d", os.Getpid())
	return f, nil
}

func folderError(dir string, err error) error {
	e := &penstock.Error{Kind: penstock.KindSetting, Op: "open data_dir " + dir, Err: err, Mend: "make data_dir a folder that this user can write to"}
	if path := (*os.PathError)(nil); errors.As(err, &path) && path.Path == dir {
		e.Err = path.Err
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		e.Kind, e.Mend = penstock.KindFull, "free space on its disk"
	}
	return e
}

// listenSocket opens the control socket, which only this user may use. One
// that is left from a process that was killed is replaced: the folder is ours.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, folderError(filepath.Dir(path), err)
	}
	mask := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(mask)
	if err != nil {
		if cause := (unix.Errno)(0); errors.As(err, &cause) {
			err = cause // without the operation and the path once more
		}
		return nil, &penstock.Error{Kind: penstock.KindSetting, Op: "open the control socket " + path, Err: err, Mend: "choose a data_dir with a shorter path, on a file system that has sockets"}
	}
	return l, nil
}
