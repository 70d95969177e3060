package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func example() Result {
	r := Result{
		Question: "drain", Title: "Draining", Asks: "How fast?",
		Metrics: []Metric{{Key: "rate", Title: "changes/s", Spread: true}, {Key: "cpu", Title: "CPU s/M", Digits: 2}},
		Ratios:  []Ratio{{Title: "ours to theirs", Metric: "rate", Arm: "ours", To: "theirs | others"}},
		Charts:  Chart{Title: "Changes per second", Axis: "changes/s", Metrics: []string{"rate"}},
	}
	c := Case{Name: "ten rows", Setting: "1,000 changes", Taken: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Machine: Machine{CPU: "Z80", CPUs: 1}}
	for i := range 3 {
		c.Add("ours", Run{"rate": float64(100000 * (i + 1)), "cpu": 1.5})
		c.Add("theirs | others", Run{"rate": 100000})
	}
	r.Cases = []Case{c}
	return r
}

func TestRatio(t *testing.T) {
	t.Parallel()
	c := example().Cases[0]
	s := c.Ratio("rate", "ours", "theirs | others")
	if len(s) != 3 || s.Median() != 2 || s.Min() != 1 || s.Max() != 3 {
		t.Errorf("ratios are %v", s)
	}
	if s := c.Ratio("cpu", "ours", "theirs | others"); len(s) != 0 {
		t.Errorf("there are ratios to nothing: %v", s)
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	r := example()
	r.Put(Case{Name: "one row"}, []string{"one row", "ten rows"})
	r.Put(Case{Name: "ten rows", Setting: "anew"}, []string{"one row", "ten rows"})
	if len(r.Cases) != 2 || r.Cases[0].Name != "one row" || r.Cases[1].Setting != "anew" {
		t.Errorf("cases are %+v", r.Cases)
	}
	r.Put(Case{Name: "ten rows"}, []string{"ten rows"})
	if len(r.Cases) != 1 {
		t.Errorf("a case that is none any more stays: %+v", r.Cases)
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	r := example()
	if err := r.Cases[0].Extend(example().Cases[0]); err != nil || len(r.Cases[0].Sample("ours", "rate")) != 6 {
		t.Errorf("%v, runs are %v", err, r.Cases[0].Arms)
	}
	other := example().Cases[0]
	other.Setting = "2,000 changes"
	if err := r.Cases[0].Extend(other); err == nil {
		t.Error("runs in another setting are taken for the same")
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := example()
	if err := r.Save(filepath.Join(dir, "results")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "results", "drain.md"), []byte("The walsender.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	judge := func(r *Result) []Goal {
		return []Goal{{What: "ours to theirs | others", Goal: "≥ 2", Got: Number(r.Case("ten rows").Ratio("rate", "ours", "theirs | others").Median(), 2), Met: true}, {What: "CPU", Goal: "≤ 1", Got: "1.50"}}
	}
	if err := Write(dir, []Asked{{"drain", "Draining", []string{"ten rows", "one row"}, judge}, {"load", "Loading", []string{"wide"}, nil}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## Draining\n\nHow fast?\n\n![Changes per second](results/drain.svg)",
		"| ours to theirs \\| others | ≥ 2 | 2.00 | met |\n| CPU | ≤ 1 | 1.50 | **missed** |",
		"| ten rows | 2.00 (1.00 – 3.00) |",
		"| ten rows | ours | 3 | 200,000 (100,000 – 300,000) | 1.50 |\n|  | theirs \\| others | 3 | 100,000 (100,000 – 100,000) | – |",
		"- ten rows: 1,000 changes. Taken 2026-01-02 03:04 UTC on 1 × Z80",
		"- Not measured yet: one row.\n",
		"### What limits it\n\nThe walsender.\n",
		"## Loading\n\nNot measured yet: wide.\n",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("there is no %q in\n%s", want, b)
		}
	}
}

// TestDraw: the picture is XML, and has the words and as many bars as there
// are arms.
func TestDraw(t *testing.T) {
	t.Parallel()
	for _, log := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "x.svg")
		r := example()
		r.Charts.Log = log
		if err := r.draw(path); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var text strings.Builder
		bars := map[string]int{}
		d := xml.NewDecoder(f)
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch x := token.(type) {
			case xml.CharData:
				text.Write(x)
			case xml.StartElement:
				for _, a := range x.Attr {
					for _, colour := range []string{"#0072B2", "#E69F00"} {
						if strings.Contains(a.Value, colour) {
							bars[colour]++
						}
					}
				}
			}
		}
		for _, want := range []string{"Changes per second", "ten rows", "ours", "theirs"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the picture does not say %q", want)
			}
		}
		if bars["#0072B2"] != 2 || bars["#E69F00"] != 2 { // one bar and one sample in the legend
			t.Errorf("bars by colour: %v", bars)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		x      float64
		digits int
		want   string
	}{{0, 0, "0"}, {1234567, 0, "1,234,567"}, {999.5, 1, "999.5"}, {1234.567, 2, "1,234.57"}, {-1234, 0, "-1,234"}, {-0.001, 1, "0.0"}} {
		if got := Number(tt.x, tt.digits); got != tt.want {
			t.Errorf("%v is shown as %s, want %s", tt.x, got, tt.want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	t.Parallel()
	if m := ThisMachine(); m.CPU == "" || m.CPUs < 1 || m.Memory < 1<<20 || m.Kernel == "" || m.Go == "" {
		t.Errorf("%+v", m)
	}
}
