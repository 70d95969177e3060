package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"penstock/bench/measure"
)

// Result is what is known about a question.
type Result struct {
	Question string   `json:"question"` // "drain"
	Title    string   `json:"title"`
	Asks     string   `json:"asks"` // a paragraph: what is measured, against what
	Metrics  []Metric `json:"metrics"`
	Ratios   []Ratio  `json:"ratios,omitempty"`
	Charts   Chart    `json:"chart"`
	Cases    []Case   `json:"cases"`
	Goals    []Goal   `json:"-"` // what Write judges
}

// Metric is a quantity that runs have.
type Metric struct {
	Key    string `json:"key"`   // of Run.Values
	Title  string `json:"title"` // with its unit: "changes/s"
	Digits int    `json:"digits"`
	Spread bool   `json:"spread,omitempty"` // show the least and the most beside the median
}

// Ratio compares two arms in a metric, window by window: Arm divided by To.
type Ratio struct {
	Title  string `json:"title"`
	Metric string `json:"metric"`
	Arm    string `json:"arm"`
	To     string `json:"to"`
}

// Chart says what the picture of a question shows: a group of bars for each
// case, in it one for each arm and metric. Empty Arms stands for all of them.
type Chart struct {
	Title   string   `json:"title"`
	Axis    string   `json:"axis"`
	Metrics []string `json:"metrics"`
	Arms    []string `json:"arms,omitempty"`
	Log     bool     `json:"log,omitempty"`
}

// Case is one setting in which all arms were measured.
type Case struct {
	Name    string    `json:"name"`
	Setting string    `json:"setting"` // sizes, as they were
	Taken   time.Time `json:"taken"`
	Machine Machine   `json:"machine"`
	Arms    []Arm     `json:"arms"`
}

// Arm is one of the things compared, with a run for each window, in order.
type Arm struct {
	Name string `json:"name"`
	Runs []Run  `json:"runs"`
}

// Run has the values of the metrics, by key, in one window.
type Run map[string]float64

// Goal is what a question was to reach, and what it did.
type Goal struct {
	What string `json:"what"`
	Goal string `json:"goal"`
	Got  string `json:"got"`
	Met  bool   `json:"met"`
}

// Add takes note of a run of an arm.
func (c *Case) Add(arm string, run Run) {
	for i := range c.Arms {
		if c.Arms[i].Name == arm {
			c.Arms[i].Runs = append(c.Arms[i].Runs, run)
			return
		}
	}
	c.Arms = append(c.Arms, Arm{Name: arm, Runs: []Run{run}})
}

// Sample returns the values of a metric that the runs of an arm have.
func (c *Case) Sample(arm, metric string) (s measure.Sample) {
	for _, a := range c.Arms {
		if a.Name != arm {
			continue
		}
		for _, run := range a.Runs {
			if v, ok := run[metric]; ok {
				s = append(s, v)
			}
		}
	}
	return s
}

// Ratio returns, window by window, a metric of one arm divided by that of
// another. What is left of a window that lacks one of them is not counted.
func (c *Case) Ratio(metric, arm, to string) (s measure.Sample) {
	a, b := c.Sample(arm, metric), c.Sample(to, metric)
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			s = append(s, a[i]/b[i])
		}
	}
	return s
}

// Case returns a case by its name, nil if it has not been measured.
func (r *Result) Case(name string) *Case {
	for i := range r.Cases {
		if r.Cases[i].Name == name {
			return &r.Cases[i]
		}
	}
	return nil
}

// Put replaces the case of the same name, or adds it. Cases are kept in the
// order of names; those that are not among names any more are dropped.
func (r *Result) Put(c Case, names []string) {
	if old := r.Case(c.Name); old != nil {
		*old = c
	} else {
		r.Cases = append(r.Cases, c)
	}
	r.Cases = slices.DeleteFunc(r.Cases, func(c Case) bool { return !slices.Contains(names, c.Name) })
	slices.SortStableFunc(r.Cases, func(a, b Case) int { return slices.Index(names, a.Name) - slices.Index(names, b.Name) })
}

// Extend adds the runs of another measurement of the same case, which has to
// have been taken in the same setting on the same machine.
func (c *Case) Extend(more Case) error {
	if c.Name != more.Name || c.Setting != more.Setting || c.Machine != more.Machine {
		return fmt.Errorf("the runs of %q that there are were taken in another setting, with another build or on another machine: %s, %+v", c.Name, c.Setting, c.Machine)
	}
	for _, a := range more.Arms {
		for _, run := range a.Runs {
			c.Add(a.Name, run)
		}
	}
	c.Taken = more.Taken
	return nil
}

// Load reads the results of a question in a folder; what has never been
// measured has no cases.
func Load(dir, question string) (Result, error) {
	var r Result
	b, err := os.ReadFile(path(dir, question))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read the results of %s: %w", question, err)
	}
	return r, nil
}

// Save writes the results of a question into a folder.
func (r *Result) Save(dir string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(path(dir, r.Question), append(b, '\n'), 0o644)
}

func path(dir, question string) string { return filepath.Join(dir, question+".json") }
