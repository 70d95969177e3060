package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"penstock"
	"penstock/internal/app"
	"penstock/internal/config"
)

func newFilter(f *flags) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "filter SOURCE 'FILTER'",
		Short: "Show which tables of a source a data filter selects, and which rule decides each",
		Long: "Filter connects to the source, lists the tables of each database that the filter names, and says for each\n" +
			"whether it is selected and by which rule: the last one that matches decides. It changes nothing.",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("penstock filter takes a source and a filter, which has to be quoted")}
			}
			if err := checkOutput(output); err != nil {
				return err
			}
			cfg, err := config.Load(f.config)
			if err != nil {
				return err
			}
			r, err := app.FilterTables(c.Context(), cfg, args[0], args[1])
			switch penstock.KindOf(err) {
			case penstock.KindInvalid, penstock.KindSourceNotFound:
				return usageError{err}
			}
			if err != nil {
				return err
			}
			if output == "json" {
				err = json.NewEncoder(c.OutOrStdout()).Encode(r)
			} else {
				err = printFilter(c.OutOrStdout(), r)
			}
			if err == nil && len(r.Missing) > 0 {
				err = errFound
			}
			return err
		},
	}
	outputFlag(c, &output)
	return c
}

func printFilter(out io.Writer, r *app.FilterReport) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	selected := 0
	for _, t := range r.Tables {
		mark, rule := "-", "no rule matches"
		if t.Selected {
			mark = "+"
			selected++
		}
		if t.Rule > 0 {
			rule = r.Rules[t.Rule-1].Rule
		}
		if t.Selected && !t.Carried {
			rule += " (" + article(t.Kind) + ", which is not replicated)"
		}
		name := t.Schema + "." + t.Table
		if t.Database != "" {
			name = t.Database + "." + name
		}
		fmt.Fprintf(w, "%s %s\t%s\n", mark, name, rule)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d of %d tables are selected\n", selected, len(r.Tables))
	for _, rule := range r.Rules {
		if rule.Decided == 0 {
			fmt.Fprintf(out, "this rule decides no table: %s\n", rule.Rule)
		}
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(out, "! source %s has no database named %s\n", r.Source, strings.Join(r.Missing, ", "))
	}
	return nil
}

// article puts the article before a noun.
func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
