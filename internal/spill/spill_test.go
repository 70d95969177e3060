package spill

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"penstock"
)

func create(t testing.TB, dir string) *spillFile {
	t.Helper()
	f, err := New(dir, bytes.Repeat([]byte{7}, 32)).Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.(*spillFile)
}

// TestQueue: blocks come back as they were added, in order, while more are
// added.
func TestQueue(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "when needed")
	rapid.Check(t, func(rt *rapid.T) {
		f := create(t, dir)
		defer f.Close()
		var want [][]byte
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				b := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(rt, "block")
				if err := f.Append(b); err != nil {
					rt.Fatal(err)
				}
				want = append(want, b)
			},
			"next": func(rt *rapid.T) {
				dst := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "dst")
				got, err := f.Next(dst)
				if len(want) == 0 {
					if err != io.EOF || !bytes.Equal(got, dst) {
						rt.Fatalf("at the end: %q, %v", got, err)
					}
					return
				}
				if err != nil || !bytes.Equal(got, append(dst[:len(dst):len(dst)], want[0]...)) {
					rt.Fatalf("got %d bytes, %v; want %d after %d", len(got), err, len(want[0]), len(dst))
				}
				want = want[1:]
			},
		})
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}

// TestNobodyReads: what is in a file is not what was added, in no two files
// the same, and a change of it is noticed.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	block := bytes.Repeat([]byte("a customer's row "), 1000)
	var disk [][]byte
	for range 2 {
		f := create(t, dir)
		for range 2 {
			if err := f.Append(block); err != nil {
				t.Fatal(err)
			}
		}
		b := make([]byte, f.end)
		if _, err := f.file.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		disk = append(disk, b[:f.end/2], b[f.end/2:])
		if info, err := f.file.Stat(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}

		if _, err := f.file.WriteAt([]byte{b[100] ^ 1}, 100); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Next(nil); penstock.KindOf(err) != penstock.KindInternal || !strings.Contains(err.Error(), "is not what was written") {
			t.Errorf("a changed block is read with %v", err)
		}
		if err := f.file.Truncate(10); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Next(nil); err == nil || err == io.EOF {
			t.Errorf("a block that is cut off is read with %v", err)
		}
	}
	for i, b := range disk {
		if bytes.Contains(b, block[:20]) {
			t.Error("the content can be read")
		}
		for _, other := range disk[:i] {
			if bytes.Equal(b, other) {
				t.Error("equal blocks are equal on disk")
			}
		}
	}
}

func TestUnlinked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := createUnlinked(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the folder has %v, %v", left, err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

// TestFullDisk: the error names the folder, and what was added before is there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := create(t, dir)
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("SKIPPED: there is no /dev/full here: ", err)
	}
	defer full.Close()
	if err := f.Append([]byte("before")); err != nil {
		t.Fatal(err)
	}
	disk := f.file
	f.file = full
	err = f.Append([]byte("too much"))
	f.file = disk
	if penstock.KindOf(err) != penstock.KindFull || penstock.ProblemOf(err) != penstock.ProblemDiskFull ||
		!strings.Contains(err.Error(), dir) || !strings.Contains(penstock.MendOf(err), dir) {
		t.Errorf("the error is %v", err)
	}
	if err := f.Append([]byte("after")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before", "after"} {
		if got, err := f.Next(nil); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir, make([]byte, 32)).Create(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder that is a file: %v", err)
	}
	f := create(t, t.TempDir())
	if err := f.Append(nil); penstock.KindOf(err) != penstock.KindInternal {
		t.Errorf("an empty block: %v", err)
	}
	f.Close()
	if err := f.Append([]byte("x")); penstock.KindOf(err) != penstock.KindUnreachable || !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
}

func BenchmarkSpill(b *testing.B) {
	block := make([]byte, 512<<10)
	_, _ = rand.Read(block)
	f := create(b, b.TempDir())
	b.SetBytes(int64(len(block)))
	dst := make([]byte, 0, 1<<20)
	for b.Loop() {
		if err := f.Append(block); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Next(dst); err != nil {
			b.Fatal(err)
		}
		if f.end > 1<<30 {
			f.Close()
			f = create(b, b.TempDir())
		}
	}
}
