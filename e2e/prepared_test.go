package e2e

import (
	"os"
	"strings"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestPreparedGenerated: with a publication that somebody prepared, rows have
// their generated columns whether the publication has them or not, and they are
// the source's.
func TestPreparedGenerated(t *testing.T) {
	t.Parallel()
	with, without := dbtest.SharedOf(t, 18), dbtest.SharedOf(t, 18)
	const schema = `CREATE TABLE keyed (id int PRIMARY KEY, n int, body text, stored int GENERATED ALWAYS AS (n * 2) STORED, virtual text GENERATED ALWAYS AS (upper(left(body, 3)) || n), large text GENERATED ALWAYS AS (body || '!') STORED)`
	with.Exec(t, schema, `CREATE TABLE whole (n int, stored int GENERATED ALWAYS AS (n % 3) STORED)`, `ALTER TABLE whole REPLICA IDENTITY FULL`, `INSERT INTO whole SELECT g FROM generate_series(1, 20) g`,
		`CREATE PUBLICATION prepared FOR TABLE keyed, whole WITH (publish_generated_columns = stored)`)
	without.Exec(t, schema, `CREATE PUBLICATION prepared FOR TABLE keyed`)
	tables := map[string]string{"keyed": "SELECT id, n, md5(body), stored, virtual, md5(large) FROM keyed ORDER BY id"}
	all := map[string]string{"keyed": tables["keyed"], "whole": "SELECT n, stored, count(*) FROM whole GROUP BY n, stored ORDER BY n, stored"}
	p := configured(t, with.Server.URL("postgres"))
	config, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	config = []byte(strings.Replace(string(config), "shop: {kind: cluster,", "shop: {kind: cluster, publication: prepared,", 1))
	if err := os.WriteFile(p.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, db := range []*dbtest.Database{with, without} {
		db.Exec(t, `ALTER TABLE keyed ALTER body SET STORAGE EXTERNAL, ALTER large SET STORAGE EXTERNAL`,
			`INSERT INTO keyed SELECT g, g, repeat('body ' || g || ' ', CASE g % 4 WHEN 0 THEN 1000 ELSE 1 END) FROM generate_series(1, 100) g`)
	}
	p.start(t)
	p.integrate(t, "prepared", with.Name, without.Name)
	p.awaitActive(t, "prepared")
	equal := func() {
		t.Helper()
		awaitEqual(t, p, with.Conn(t), all)
		awaitEqual(t, p, without.Conn(t), tables)
	}
	equal()
	for _, db := range []*dbtest.Database{with, without} {
		db.Exec(t, `UPDATE keyed SET n = n + 1 WHERE id % 3 = 0`, `UPDATE keyed SET body = 'another' WHERE id % 7 = 0`, `UPDATE keyed SET id = -id WHERE id % 10 = 0`, `DELETE FROM keyed WHERE id % 11 = 0`,
			`INSERT INTO keyed VALUES (1000, NULL, NULL), (1001, 7, repeat('new ', 2000))`)
	}
	with.Exec(t, `UPDATE whole SET n = n + 1 WHERE n % 2 = 0`, `DELETE FROM whole WHERE n < 4`, `INSERT INTO whole VALUES (NULL), (5), (5)`)
	equal()
	p.wantVerified(t, "prepared")
}
