package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/rds"

	"penstock/internal/testdb/dbtest"
)

// smallDisk mounts a file system of some megabytes, which can be enlarged.
func smallDisk(t testing.TB, megabytes int) (dir string, enlarge func(megabytes int)) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", megabytes), "penstock-test", dir).CombinedOutput(); err != nil {
		reason := fmt.Sprintf("a small disk cannot be mounted here: %v: %s", err, out)
		if os.Geteuid() == 0 {
			need(t, reason)
		}
		t.Skip("SKIPPED: " + reason)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir, func(megabytes int) {
		t.Helper()
		if out, err := exec.Command("mount", "-o", fmt.Sprintf("remount,size=%dm", megabytes), dir).CombinedOutput(); err != nil {
			t.Fatalf("remount: %v: %s", err, out)
		}
	}
}

// TestDiskFull fills the disk of the data folder, by a load and by a stream:
// the integration says so, the source is not disturbed, and once there is space
// everything goes on by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk, enlarge := smallDisk(t, 12)
	db := dbtest.Shared(t)
	db.Exec(t, writtenSchema...)
	// Nothing that compresses.
	const noise = "SELECT g, repeat(md5(g::text), 2) || md5((g * 7)::text) || md5((g * 11)::text) || md5((g * 13)::text) FROM generate_series(%d, %d) g"
	db.Exec(t, "CREATE TABLE large (id int PRIMARY KEY, noise text)", "INSERT INTO large "+fmt.Sprintf(noise, 1, 150_000))

	p := configured(t, db.URL())
	p.dataDir = filepath.Join(disk, "data")
	p.write(t, db.URL())
	p.start(t)
	w := startWriters(t, db.Server, db.Name, 1, true)
	p.integrate(t, "full", db.Name)

	p.awaitProblem(t, "full", "DISK_FULL", "disk", "is full", p.dataDir, "free space")
	awaitStatus(t, p.client(secretKey), "full", "needs_attention")
	w.awaitCommits(t, 20)
	enlarge(200)
	p.awaitActive(t, "full")
	tables := map[string]string{"large": "SELECT count(*), sum(id), min(noise), max(noise) FROM large"}
	awaitEqual(t, p, db.Conn(t), tables)

	// Now by the stream.
	enlarge(used(t, disk) + 8)
	db.Exec(t, "INSERT INTO large "+fmt.Sprintf(noise, 200_001, 400_000))
	p.awaitProblem(t, "full", "DISK_FULL", "is full", p.dataDir)
	for i := range 50 { // metadata has space of its own
		if _, err := p.client(secretKey).AddTagsToResource(t.Context(), &rds.AddTagsToResourceInput{
			ResourceName: p.describe(t, "full").IntegrationArn, Tags: tagsOf("tag", fmt.Sprint(i)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.awaitCommits(t, 20)
	enlarge(400)
	p.awaitActive(t, "full")
	w.awaitCommits(t, 20)
	w.stop()
	awaitEqual(t, p, db.Conn(t), tables)
	awaitEqual(t, p, db.Conn(t), writtenTables)
}

// TestDiskFullAtStart: a server that finds no space says so, and leaves nothing
// that would keep it from starting when there is.
func TestDiskFullAtStart(t *testing.T) {
	t.Parallel()
	disk, enlarge := smallDisk(t, 1)
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	p.dataDir = filepath.Join(disk, "data")
	p.write(t, "postgres://app@127.0.0.1:1/postgres")
	ballast := func() {
		os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 1<<20), 0o600) // as much as fits
	}
	ballast()
	if out, code := p.run(t, "serve"); code != 1 || !containsAll(out, p.dataDir, "free space on") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	enlarge(32)
	p.start(t)
}

// used returns how many megabytes of a disk are taken.
func used(t testing.TB, dir string) int {
	t.Helper()
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return int(n>>20) + 1
}
