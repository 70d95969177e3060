package duckdbtarget

import (
	"strings"
	"testing"
)

// TestDeepStatements sends statements that are long or deep: they are
// answered or refused, and nothing falls over.
func TestDeepStatements(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	s := connect(t, w, "dev")
	const n = 10_000
	for name, sql := range map[string]string{
		"parentheses": "SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n),
		"sum":         "SELECT 1" + strings.Repeat("+1", n),
		"minus":       "SELECT " + strings.Repeat("- ", n) + "1",
		"not":         "SELECT " + strings.Repeat("NOT ", n) + "true",
		"and":         "SELECT true" + strings.Repeat(" AND true", n),
		"union":       "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", n/10),
		"subqueries":  strings.Repeat("SELECT * FROM (", n/10) + "SELECT 1" + strings.Repeat(")", n/10),
		"scalars":     strings.Repeat("SELECT (", n/10) + "SELECT 1" + strings.Repeat(")", n/10),
		"functions":   "SELECT " + strings.Repeat("abs(", n) + "1" + strings.Repeat(")", n),
		"case":        "SELECT " + strings.Repeat("CASE WHEN true THEN ", n/10) + "1" + strings.Repeat(" END", n/10),
		"casts":       "SELECT 1" + strings.Repeat("::INT", n),
		"lists":       "SELECT " + strings.Repeat("[", n) + strings.Repeat("]", n),
		"joins":       "SELECT 1 FROM range(1)" + strings.Repeat(", range(1)", 2000),
		"ctes":        "WITH " + strings.Repeat("x AS (WITH ", n/100) + "y AS (SELECT 1) SELECT 1" + strings.Repeat(") SELECT 1", n/100),
		"in list":     "SELECT 1 WHERE 1 IN (0" + strings.Repeat(", 1", n) + ")",
		"values":      "VALUES (0)" + strings.Repeat(", (1)", n),
		"comments":    strings.Repeat("/*", n) + strings.Repeat("*/", n) + "SELECT 1",
		"open":        strings.Repeat("/*", n),
		"explain":     strings.Repeat("EXPLAIN ", n) + "SELECT 1",
		"types":       "SELECT NULL::" + strings.Repeat("STRUCT(a ", n/10) + "INT" + strings.Repeat(")", n/10),
		"insert":      "INSERT INTO t SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n),
		"too long":    "SELECT '" + strings.Repeat("x", maxStatement) + "'",
	} {
		_, err := query(t, s, sql)
		if err != nil {
			message := err.Error()
			t.Logf("%s: %s", name, message[:min(len(message), 120)])
		}
	}
	if rows, err := query(t, connect(t, w, "dev"), "SELECT 1"); err != nil || render(rows) != "1" {
		t.Errorf("afterwards: %v, %v", rows, err)
	}
}
