package pgsource

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// TestEncodings: text of databases in other encodings arrives as UTF-8, and
// what a database without one holds breaks nothing.
func TestEncodings(t *testing.T) {
	t.Parallel()
	server := dbtest.Shared(t).Server
	for encoding, want := range map[string]string{"LATIN1": "ünï", "EUC_JP": "日本", "SQL_ASCII": "\xfcn\xef"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			db := &dbtest.Database{Server: server, Name: "encoding_" + strings.ToLower(encoding)}
			ctx := t.Context()
			noError(t, server.Exec(ctx, "postgres", fmt.Sprintf("CREATE DATABASE %s ENCODING '%s' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'", db.Name, encoding)))
			t.Cleanup(func() {
				noError(t, server.Exec(context.Background(), "postgres", "DROP DATABASE "+db.Name+" WITH (FORCE)"))
			})
			clientEncoding, insert := "UTF8", `INSERT INTO t VALUES ('`+want+`')`
			if encoding == "SQL_ASCII" {
				clientEncoding, insert = encoding, `INSERT INTO t VALUES (E'\xfcn\xef')`
			}
			db.Exec(t, `CREATE TABLE t (v text, g text GENERATED ALWAYS AS (v || 'x') STORED)`)
			c, tables := testCapture(t, db)
			start, err := c.Prepare(ctx, "")
			noError(t, err)
			stream, err := c.Stream(ctx, start, tables, nil)
			noError(t, err)
			defer stream.Close()
			db.Exec(t, `SET client_encoding = '`+clientEncoding+`'`, insert)
			var changes penstock.Changes
			for changes.Transactions == 0 {
				noError(t, stream.Next(ctx, &changes, 1<<20))
			}
			load, err := c.Load(ctx, tables, nil)
			noError(t, err)
			defer load.Close()
			loaded, _ := loadTable(t, load, &tables[0])
			streamed := &changes.Table(&tables[0]).Rows
			for how, rows := range map[string]*penstock.Rows{"loaded": loaded, "streamed": streamed} {
				if rows.Len() != 1 || rows.Vectors[0].Text(0) != want || rows.Vectors[1].Text(0) != want+"x" {
					t.Errorf("%s: %d rows, %q and %q", how, rows.Len(), rows.Vectors[0].Text(0), rows.Vectors[1].Text(0))
				}
			}
		})
	}
}
