package report

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"penstock/bench/measure"
)

// Preamble opens RESULTS.md.
const preamble = `# Measured

Written by ` + "`make bench`" + `; what is below a heading "What limits it" is kept by hand, and speaks of the machines that it names: figures above it may
have been measured elsewhere since. How to run it, and what is measured how, is in [doc.go](doc.go).

Only ratios mean something, and only between what ran in the same minutes on the same machine: all arms of a case take turns (A B A B). Shown are medians,
and in parentheses the least and the most of all windows. CPU is user and system time per million rows or changes. *Others* is
what everything else on the machine took meanwhile, or a hypervisor kept from it, as a part of all its CPUs: a window is worth little when that is much, and is measured once more
when it is over a tenth; the better one counts. A run whose content
was not, in the end, what the source has, value by value, is not counted, and ends the benchmark.
`

// Asked is a question as it is asked, measured or not.
type Asked struct {
	Question, Title string
	Cases           []string
	// Judge compares what was measured with the goals; nil if it was not measured for
	// that.
	Judge func(*Result) []Goal
}

// Write writes RESULTS.md and the pictures beside it from the results of these
// questions, which lie in the folder results of dir together with hand-written
// remarks, QUESTION.md. What has not been measured is named.
func Write(dir string, questions []Asked) error {
	var b strings.Builder
	b.WriteString(preamble)
	results := filepath.Join(dir, "results")
	for _, asked := range questions {
		q := asked.Question
		r, err := Load(results, q)
		if err != nil {
			return err
		}
		var missing []string
		for _, c := range asked.Cases {
			if r.Case(c) == nil {
				missing = append(missing, c)
			}
		}
		if asked.Judge != nil {
			r.Goals = asked.Judge(&r)
		}
		if len(r.Cases) == 0 {
			fmt.Fprintf(&b, "\n## %s\n\nNot measured yet: %s.\n", asked.Title, strings.Join(missing, "; "))
			continue
		}
		picture := q + ".svg"
		if err := r.draw(filepath.Join(results, picture)); err != nil {
			return fmt.Errorf("draw the picture of %s: %w", q, err)
		}
		remarks, _ := os.ReadFile(filepath.Join(results, q+".md"))
		r.markdown(&b, "results/"+picture, string(remarks), missing)
	}
	return os.WriteFile(filepath.Join(dir, "RESULTS.md"), []byte(b.String()), 0o644)
}

func (r *Result) markdown(b *strings.Builder, picture, remarks string, missing []string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n![%s](%s)\n", r.Title, r.Asks, r.Charts.Title, picture)
	if len(r.Goals) > 0 {
		b.WriteString("\n| goal | | reached | |\n|---|---|---|---|\n")
		for _, g := range r.Goals {
			met := "**missed**"
			if g.Met {
				met = "met"
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cell(g.What), g.Goal, g.Got, met)
		}
	}
	r.ratios(b)
	r.values(b)
	r.settings(b)
	if len(missing) > 0 {
		fmt.Fprintf(b, "- Not measured yet: %s.\n", strings.Join(missing, "; "))
	}
	if remarks = strings.TrimSpace(remarks); remarks != "" {
		fmt.Fprintf(b, "\n### What limits it\n\n%s\n", remarks)
	}
}

func (r *Result) ratios(b *strings.Builder) {
	if len(r.Ratios) == 0 {
		return
	}
	b.WriteString("\n| |")
	for _, q := range r.Ratios {
		fmt.Fprintf(b, " %s |", cell(q.Title))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.Ratios)) + "\n")
	for i := range r.Cases {
		c := &r.Cases[i]
		fmt.Fprintf(b, "| %s |", cell(c.Name))
		for _, q := range r.Ratios {
			fmt.Fprintf(b, " %s |", show(c.Ratio(q.Metric, q.Arm, q.To), 2, true))
		}
		b.WriteString("\n")
	}
}

func (r *Result) values(b *strings.Builder) {
	b.WriteString("\n| | | windows |")
	for _, m := range r.Metrics {
		fmt.Fprintf(b, " %s |", m.Title)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(r.Metrics)) + "\n")
	for i := range r.Cases {
		c := &r.Cases[i]
		for j, a := range c.Arms {
			name := ""
			if j == 0 {
				name = c.Name
			}
			fmt.Fprintf(b, "| %s | %s | %d |", cell(name), cell(a.Name), len(a.Runs))
			for _, m := range r.Metrics {
				fmt.Fprintf(b, " %s |", show(c.Sample(a.Name, m.Key), m.Digits, m.Spread))
			}
			b.WriteString("\n")
		}
	}
}

func (r *Result) settings(b *strings.Builder) {
	b.WriteString("\n")
	for i := range r.Cases {
		c := &r.Cases[i]
		fmt.Fprintf(b, "- %s: %s. Taken %s", c.Name, c.Setting, c.Taken.UTC().Format("2006-01-02 15:04 MST"))
		if i == 0 || c.Machine != r.Cases[i-1].Machine {
			fmt.Fprintf(b, " on %s", c.Machine)
		}
		b.WriteString(".\n")
	}
}

// cell returns text as it stands in a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// show returns the median of a sample, with the least and the most if it has
// more than one value; an empty sample is a dash.
func show(s measure.Sample, digits int, spread bool) string {
	if len(s) == 0 {
		return "–"
	}
	out := Number(s.Median(), digits)
	if spread && len(s) > 1 {
		out += " (" + Number(s.Min(), digits) + " – " + Number(s.Max(), digits) + ")"
	}
	return out
}

// Number formats a number with so many decimals, its thousands apart.
func Number(x float64, digits int) string {
	if math.IsNaN(x) {
		return "–"
	}
	s := strconv.FormatFloat(math.Abs(x), 'f', digits, 64)
	whole, rest, _ := strings.Cut(s, ".")
	var out strings.Builder
	if x < 0 && strings.ContainsAny(s, "123456789") {
		out.WriteByte('-')
	}
	for i, d := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	if rest != "" {
		out.WriteString("." + rest)
	}
	return out.String()
}
