package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"penstock"
	"penstock/internal/app"
	"penstock/internal/config"
)

func newCheck(f *flags) *cobra.Command {
	var output, filter string
	c := &cobra.Command{
		Use:   "check [SOURCE…]",
		Short: "Check the configuration, and whether its sources are ready for an integration",
		Long: "Check reads the configuration, then looks at each source: its settings, the role's rights,\n" +
			"and the tables. Whatever has to change comes with the statement that changes it.\n" +
			"If a server runs on the same data_dir, its integrations' problems are shown as well.",
		RunE: func(c *cobra.Command, names []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			cfg, err := config.Load(f.config)
			if err != nil {
				return err
			}
			checked, err := app.Check(c.Context(), cfg, filter, names)
			if err != nil {
				return usageError{err}
			}
			r := checkReport{Sources: []checkedSource{}}
			for _, s := range checked {
				r.add(s)
			}
			if running, err := app.FetchReport(c.Context(), cfg.DataDir); err == nil {
				r.addServer(running)
			}
			if output == "json" {
				err = json.NewEncoder(c.OutOrStdout()).Encode(r)
			} else {
				r.print(c.OutOrStdout())
			}
			if err == nil && !r.Ready {
				err = errFound
			}
			return err
		},
	}
	outputFlag(c, &output)
	c.Flags().StringVar(&filter, "filter", "", "data `filter` of the integration to check for (default: every table)")
	return c
}

// checkReport is what check prints.
type checkReport struct {
	Ready        bool
	Sources      []checkedSource
	Integrations []checkedIntegration `json:",omitempty"`
	Orphans      []penstock.Orphan    `json:",omitempty"`

	blocked bool
}

type checkedSource struct {
	Name, ARN string
	Error     string `json:",omitempty"`
	Findings  []penstock.Finding
}

type checkedIntegration struct {
	Name, Status string
	Loading      map[string]penstock.LoadProgress `json:",omitempty"` // by destination database
	Problems     []penstock.Problem
}

func (r *checkReport) add(s app.CheckedSource) {
	out := checkedSource{Name: s.Source, ARN: s.ARN, Findings: append([]penstock.Finding{}, s.Findings...)}
	if s.Err != nil {
		out.Error = s.Err.Error()
		r.blocked = true
	}
	for _, f := range s.Findings {
		if blocks(f) {
			r.blocked = true
		}
	}
	r.Sources = append(r.Sources, out)
	r.Ready = !r.blocked
}

func (r *checkReport) addServer(s *app.Report) {
	for _, v := range s.Integrations {
		in := checkedIntegration{Name: v.Integration.Name, Status: string(v.Integration.Status), Problems: v.Integration.Problems}
		for _, s := range v.Streams {
			if s.Loading != nil {
				if in.Loading == nil {
					in.Loading = map[string]penstock.LoadProgress{}
				}
				in.Loading[s.Database.Name] = *s.Loading
			}
		}
		r.Integrations = append(r.Integrations, in)
		for _, p := range v.Integration.Problems {
			r.blocked = r.blocked || blocks(p)
		}
	}
	r.Orphans = s.Orphans
	r.blocked = r.blocked || len(s.Orphans) > 0
	r.Ready = !r.blocked
}

func blocks(f penstock.Finding) bool {
	return f.Severity == penstock.SeverityAttention || f.Severity == penstock.SeverityFatal
}

func (r *checkReport) print(w io.Writer) {
	for _, s := range r.Sources {
		fmt.Fprintf(w, "source %s\n  %s\n", s.Name, s.ARN)
		if s.Error != "" {
			fmt.Fprintf(w, "! it cannot be checked: %s\n", s.Error)
		}
		printFindings(w, s.Findings)
		printStatements(w, s.Findings)
	}
	for _, i := range r.Integrations {
		fmt.Fprintf(w, "integration %s: %s\n", i.Name, i.Status)
		for _, db := range slices.Sorted(maps.Keys(i.Loading)) {
			l := i.Loading[db]
			left := ""
			if l.Left > 0 {
				left = fmt.Sprintf(", about %s left", l.Left)
			}
			fmt.Fprintf(w, "  loading   %s: %d of %d tables, %d rows, %d of %d MiB%s\n", db, l.TablesDone, l.Tables, l.Rows, l.Bytes>>20, l.TotalBytes>>20, left)
		}
		printFindings(w, i.Problems)
	}
	for _, o := range r.Orphans {
		fmt.Fprintf(w, "! orphan    integration %s (%s) was deleted, but source %s still holds what it put there; removing it is retried\n            last error: %s\n", o.Name, o.Integration, o.Source, o.LastError)
		if len(o.ByHand) > 0 {
			fmt.Fprintln(w, "            to remove it by hand, run in each database:")
		}
		for _, statement := range o.ByHand {
			fmt.Fprintf(w, "              %s\n", statement)
		}
	}
	if r.Ready {
		fmt.Fprintln(w, "ready")
	} else {
		fmt.Fprintln(w, "not ready: see the lines marked with !")
	}
}

// printStatements prints the SQL that mends what stands in the way, to paste.
func printStatements(w io.Writer, findings []penstock.Finding) {
	var databases []string
	statements := map[string][]string{} // by database; "" is any
	for _, f := range findings {
		if !blocks(f) || !isSQL(f.Mend) {
			continue
		}
		db := f.Database
		if f.Code == penstock.ProblemDatabaseMissing {
			db = ""
		}
		if !slices.Contains(databases, db) {
			databases = append(databases, db)
		}
		for statement := range strings.SplitSeq(f.Mend, "; ") {
			if rest, ok := strings.CutPrefix(statement, "then "); ok {
				statement = "-- then " + rest
			} else {
				statement += ";"
			}
			if !slices.Contains(statements[db], statement) || strings.HasPrefix(statement, "-- ") {
				statements[db] = append(statements[db], statement)
			}
		}
	}
	if len(databases) == 0 {
		return
	}
	slices.Sort(databases)
	fmt.Fprintln(w, "  to paste into psql, as somebody who may:")
	for _, db := range databases {
		if db != "" {
			fmt.Fprintf(w, "    \\connect \"%s\"\n", strings.ReplaceAll(db, `"`, `""`))
		}
		for _, statement := range statements[db] {
			fmt.Fprintln(w, "    "+statement)
		}
	}
}

// isSQL reports whether what mends something is statements and nothing else.
func isSQL(mend string) bool {
	return slices.ContainsFunc([]string{"ALTER ", "GRANT ", "CREATE ", "DROP "}, func(verb string) bool { return strings.HasPrefix(mend, verb) }) && !strings.Contains(mend, ", or ")
}

func printFindings(w io.Writer, findings []penstock.Finding) {
	for _, f := range findings {
		mark := " "
		if blocks(f) {
			mark = "!"
		}
		fmt.Fprintf(w, "%s %-9s %s\n", mark, f.Severity, f.Message)
		if f.Mend != "" {
			fmt.Fprintf(w, "            to mend it: %s\n", f.Mend)
		}
	}
}
