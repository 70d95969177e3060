package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"penstock"
	"penstock/internal/app"
	"penstock/internal/config"
	"penstock/internal/verify"
)

func newVerify(f *flags) *cobra.Command {
	var output string
	r := app.VerifyRequest{}
	c := &cobra.Command{
		Use:   "verify INTEGRATION [TABLE…]",
		Short: "Compare the rows of the source with those of the warehouse",
		Long: "Verify has the running server compare an integration's tables with those of the source, by content and at\n" +
			"one position, while replication goes on, and names rows that are missing, that should not be there, or that\n" +
			"differ. A table is named as schema.table. Nothing is changed on either side.",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("penstock verify takes an integration and, if not all, its tables")}
			}
			if err := checkOutput(output); err != nil {
				return err
			}
			if r.Keys < 1 || r.Wait <= 0 {
				return usageError{errors.New("--keys and --wait have to be more than nothing")}
			}
			cfg, err := config.LoadWithoutSecrets(f.config)
			if err != nil {
				return err
			}
			r.Integration, r.Tables = args[0], args[1:]
			report, err := app.FetchVerification(c.Context(), cfg.DataDir, r, progressTo(c.ErrOrStderr()))
			switch {
			case penstock.KindOf(err) == penstock.KindInvalid:
				return usageError{err}
			case err != nil:
				return err
			case output == "json":
				err = json.NewEncoder(c.OutOrStdout()).Encode(report)
			default:
				err = printVerification(c.OutOrStdout(), report)
			}
			if err == nil && !report.Equal {
				err = errFound
			}
			return err
		},
	}
	outputFlag(c, &output)
	c.Flags().IntVar(&r.Keys, "keys", 20, "how many rows of a table are named at the most")
	c.Flags().DurationVar(&r.Wait, "wait", 30*time.Second, "how long to wait for source and warehouse to be at one position")
	return c
}

// progressTo prints how far a verification is, every few seconds.
func progressTo(w io.Writer) func(app.VerifyProgress) {
	next := time.Now().Add(2 * time.Second)
	return func(p app.VerifyProgress) {
		if time.Now().Before(next) || p.Table == "" {
			return
		}
		next = time.Now().Add(2 * time.Second)
		percent := 100.0
		if p.TotalBytes > 0 {
			percent = 100 * float64(p.Bytes) / float64(p.TotalBytes)
		}
		what := "reading"
		if p.Again {
			what = "reading again, for the rows that differ:"
		}
		fmt.Fprintf(w, "%s %s (%d of %d tables done, %d rows, %.0f%%)\n", what, p.Table, p.TablesDone, p.Tables, p.Rows, percent)
	}
}

func printVerification(out io.Writer, r *app.VerifyReport) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows, seconds, held := int64(0), 0.0, 0.0
	for _, d := range r.Databases {
		if d.Error != "" {
			fmt.Fprintf(w, "! database %s could not be compared: %s\n", d.SourceDatabase, d.Error)
		}
		for _, t := range d.Tables {
			printVerifiedTable(w, t)
			rows += t.Rows
		}
		seconds += d.Seconds
		held = max(held, d.HeldSeconds)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d rows compared in %.1f s; applying was held for %.0f ms\n", rows, seconds, 1000*held)
	if r.Equal {
		fmt.Fprintln(out, "equal")
	} else {
		fmt.Fprintln(out, "not equal: see the lines marked with !")
	}
	return nil
}

func printVerifiedTable(w io.Writer, t verify.Table) {
	name := t.Schema + "." + t.Name
	if t.NotCompared != "" {
		fmt.Fprintf(w, "! %s\tnot compared: %s\n", name, t.NotCompared)
		return
	}
	if !t.Differs() {
		nulls := ""
		if t.BadValues > 0 {
			nulls = fmt.Sprintf(", but for %d values that the warehouse cannot hold", t.BadValues)
		}
		fmt.Fprintf(w, "  %s\t%d rows\tequal%s\n", name, t.Rows, nulls)
		return
	}
	least := ""
	if t.AtLeast {
		least = "at least "
	}
	fmt.Fprintf(w, "! %s\t%d rows\t%s%d missing, %d too many, %d different\n", name, t.Rows, least, t.Missing, t.Extra, t.Different)
	for _, d := range t.Differences {
		fmt.Fprintf(w, "    %s\n", describe(d))
	}
	if more := t.Missing + t.Extra + t.Different - int64(len(t.Differences)); more > 0 {
		fmt.Fprintf(w, "    and %d more\n", more)
	}
}

// describe says in a line what is wrong with a row.
func describe(d verify.Difference) string {
	var key []string
	for _, v := range d.Key {
		text := "NULL"
		if v.Text != nil {
			text = fmt.Sprintf("%q", *v.Text)
		}
		key = append(key, v.Column+"="+text)
	}
	s := map[verify.DifferenceKind]string{verify.Missing: "missing", verify.Extra: "too many", verify.Different: "different"}[d.Kind] + " " + strings.Join(key, " ")
	if len(d.Columns) > 0 {
		s += ": " + strings.Join(d.Columns, ", ")
	}
	return s
}
