package duckdbtarget

import (
	"context"
	"fmt"
	"strconv"

	"penstock"
)

// metaFormat is the version of what a destination database remembers, as it is
// laid out in a file. A later one is refused; an older one is upgraded when the
// file is attached, in one transaction, so that a file is of one format or the
// other whenever the process ends. testdata has a file of each older format.
const metaFormat = 3

// upgrades have, for each older format, the statements that make the next one
// of it, given the quoted name of the schema.
var upgrades = map[int]func(schema string) []string{
	1: func(schema string) []string { return []string{createChunks(schema)} },
	// Tables in history mode, which an older version would not take for such.
	2: func(schema string) []string {
		return []string{"ALTER TABLE " + schema + ".position ADD COLUMN time BIGINT DEFAULT 0"}
	},
}

// createChunks returns the statement that makes the table of chunks.
func createChunks(schema string) string {
	return "CREATE TABLE " + schema + ".chunks (id VARCHAR, load BIGINT, token VARCHAR, bytes BIGINT, rows BIGINT, bad VARCHAR)"
}

// upgrade brings a database that says it is of a format to the one of today.
func upgrade(ctx context.Context, c *conn, alias, format string) error {
	from, err := strconv.Atoi(format)
	if err != nil || from < 1 || from > metaFormat {
		return &penstock.Error{Kind: penstock.KindSetting, Op: "open database " + alias,
			Message: fmt.Sprintf("its format is %q, and this version knows formats 1 to %d", format, metaFormat),
			Mend:    "use the version of Penstock that wrote it, or a later one"}
	}
	if from == metaFormat {
		return nil
	}
	schema := ident(alias) + "." + metaSchema
	statements := []string{"BEGIN"}
	for n := from; n < metaFormat; n++ {
		statements = append(statements, upgrades[n](schema)...)
	}
	statements = append(statements, fmt.Sprintf("UPDATE %s.meta SET value = '%d' WHERE key = 'format'", schema, metaFormat), "COMMIT")
	if err := c.execAll(ctx, statements...); err != nil {
		c.rollback()
		return err
	}
	return nil
}
