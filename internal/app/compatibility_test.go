package app

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/rds"
	"penstock/internal/awsapi/redshift"
	"penstock/internal/awsapi/serverless"
	"penstock/internal/awsapi/sts"
)

var update = flag.Bool("update", false, "write the generated part of docs/compatibility.md anew")

// TestCompatibility holds the tables of docs/compatibility.md against the
// tables of actions that are served.
func TestCompatibility(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
	file := filepath.Join("..", "..", "docs", "compatibility.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no generated part", file)
	}
	want := compatibility([]awsapi.Service{rds.Service(nil), redshift.Service(nil), serverless.Service(nil), sts.Service()})
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		have = want
	}
	if have != want {
		t.Errorf("%s is not what the actions say; go test ./internal/app -run TestCompatibility -update writes it", file)
	}
}

// compatibility returns the tables of the services' actions.
func compatibility(services []awsapi.Service) string {
	var b strings.Builder
	for _, s := range services {
		protocol := "version " + s.Version + ", Query protocol"
		if s.Target != "" {
			protocol = "JSON 1.1"
		}
		fmt.Fprintf(&b, "\n### %s (%s)\n\n| action | parameter or fault | | how |\n|---|---|---|---|\n", s.Name, protocol)
		for _, a := range s.Actions {
			row(&b, "`"+a.Name+"`", "", a.Differs)
			for _, m := range a.Input.Members {
				name := "`" + m.Name + "`"
				if m.Required {
					name += ", required"
				}
				row(&b, "", name, m.Differs)
			}
			for _, c := range a.Faults {
				row(&b, "", fmt.Sprintf("`%s` %d", c.Name, c.Status), "")
			}
			if len(a.Absent) > 0 {
				fmt.Fprintf(&b, "| | %s | not offered | nothing leads to it |\n", "`"+strings.Join(a.Absent, "`, `")+"`")
			}
		}
		b.WriteString("\nEvery other action: `InvalidAction`" + map[bool]string{true: ", which is called `UnknownOperationException` here"}[s.Target != ""] + ".\n")
	}
	b.WriteString("\n### Faults of every action\n\n| code | status |\n|---|---|\n")
	common := fault.Common()
	slices.SortFunc(common, func(a, b fault.Code) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range common {
		fmt.Fprintf(&b, "| `%s` | %d |\n", c.Name, c.Status)
	}
	b.WriteString("\n")
	return b.String()
}

func row(b *strings.Builder, action, what, differs string) {
	is := "same"
	if differs != "" {
		is = "different"
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s |\n", action, what, is, differs)
}
