// Command alone runs statements in an embedded DuckDB and nothing else: what a
// warehouse over the same engine is compared with.
//
//	alone FILE MEMORY THREADS
//
// reads statements from its standard input, each ended by a zero byte, and
// answers each with its rows, values separated by tabs and rows ended by
// newlines, or with "\x01" and an error, and a zero byte.
package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "alone:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: alone FILE MEMORY THREADS")
	}
	db, err := sql.Open("duckdb", args[0]+"?memory_limit="+args[1]+"&threads="+args[2])
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		statement, err := in.ReadString(0)
		if err != nil {
			return nil
		}
		if err := answer(out, db, strings.TrimSuffix(statement, "\x00")); err != nil {
			fmt.Fprintf(out, "\x01%v", err)
		}
		out.WriteByte(0)
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

func answer(out *bufio.Writer, db *sql.DB, statement string) error {
	rows, err := db.Query(statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			if i > 0 {
				out.WriteByte('\t')
			}
			fmt.Fprint(out, v)
		}
		out.WriteByte('\n')
	}
	return rows.Err()
}
