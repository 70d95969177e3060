package question

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"penstock/bench/lab"
	"penstock/bench/measure"
	"penstock/bench/report"
)

// Scale is how much is measured.
type Scale struct {
	// Quick takes sizes that show that everything works, and no more.
	Quick bool
	// Windows is how often each arm is measured; 0 is as often as the case
	// wants.
	Windows int
}

// windows returns how often each arm is measured.
func (s Scale) windows(full int) int {
	switch {
	case s.Windows > 0:
		return s.Windows
	case s.Quick:
		return 1
	}
	return full
}

// size returns one of two sizes.
func (s Scale) size(full, quick int64) int64 {
	if s.Quick {
		return quick
	}
	return full
}

// Question is something that is measured.
type Question struct {
	Name string
	// Frame says what is asked and how it is shown; it has no cases.
	Frame report.Result
	Cases []Case
	// Judge compares the cases that have been measured, all or some, with the
	// goals.
	Judge func(*report.Result) []report.Goal
}

// Case is one setting of a question.
type Case struct {
	Name string
	// Run measures it. The report's Setting and Arms are what it fills in.
	Run func(ctx context.Context, env *lab.Env, scale Scale) (report.Case, error)
	// Early, if there is one, prepares the case before any of the question is measured, and
	// returns what is Run: for what is to lie still for long meanwhile.
	Early func(ctx context.Context, env *lab.Env, scale Scale) (func(context.Context) (report.Case, error), error)
}

// All has the questions in the order in which they are shown.
var All = []*Question{drain, load, freshness, growth, queries, start}

// Find returns a question by its name, nil if there is none.
func Find(name string) *Question {
	for _, q := range All {
		if q.Name == name {
			return q
		}
	}
	return nil
}

func (q *Question) caseNames() (names []string) {
	for _, c := range q.Cases {
		names = append(names, c.Name)
	}
	return names
}

// Request says which cases are measured and where the results are.
type Request struct {
	Case   string // "" for all
	Scale  Scale
	Dir    string // of the results
	Append bool   // add to the runs that there are rather than replacing them
}

// Measure measures cases of a question and keeps the results, after each case. Those of
// a question of which all cases are measured replace all that there are.
func (q *Question) Measure(ctx context.Context, env *lab.Env, r Request) (err error) {
	machine, err := env.Machine(ctx)
	if err != nil {
		return err
	}
	wanted := slices.DeleteFunc(slices.Clone(q.Cases), func(c Case) bool { return r.Case != "" && r.Case != c.Name })
	if len(wanted) == 0 {
		return fmt.Errorf("%s has no case %q, but %q", q.Name, r.Case, q.caseNames())
	}
	if r.Case == "" && !r.Append {
		if err := q.forget(r); err != nil {
			return err
		}
	}
	began, since := env.Started(), time.Now()
	defer func() {
		err = errors.Join(err, env.End(began))
		env.Logf("%s took %v", q.Name, time.Since(since).Round(time.Second))
	}()
	for i := range wanted {
		c := &wanted[i]
		if c.Early == nil {
			continue
		}
		env.Logf("%s: %s is prepared", q.Name, c.Name)
		run, err := c.Early(ctx, env, r.Scale)
		c.Run = func(ctx context.Context, _ *lab.Env, _ Scale) (report.Case, error) {
			if err != nil {
				return report.Case{}, err
			}
			return run(ctx)
		}
	}
	for _, c := range wanted {
		env.Logf("%s: %s", q.Name, c.Name)
		before := env.Started()
		got, err := c.Run(ctx, env, r.Scale)
		err = errors.Join(err, env.End(before))
		if errors.Is(err, lab.ErrMissing) {
			env.Logf("SKIPPED: %s: %s: %v", q.Name, c.Name, err)
			continue
		}
		got.Name, got.Taken, got.Machine = c.Name, time.Now().UTC(), machine
		// What had been measured when it was interrupted counts as well.
		if err == nil || ctx.Err() != nil && len(got.Arms) > 0 {
			err = errors.Join(err, q.keep(r, got))
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", q.Name, c.Name, err)
		}
	}
	return nil
}

func (q *Question) keep(r Request, c report.Case) error {
	dir := filepath.Join(r.Dir, "results")
	kept, err := report.Load(dir, q.Name)
	if err != nil {
		return err
	}
	if old := kept.Case(c.Name); r.Append && old != nil {
		more := c
		c = *old
		if err := c.Extend(more); err != nil {
			return err
		}
	}
	result := q.Frame
	result.Question, result.Cases = q.Name, kept.Cases
	result.Put(c, q.caseNames())
	return result.Save(dir)
}

// forget drops the results that there are of a question, which is to be measured anew:
// what then cannot be measured has none.
func (q *Question) forget(r Request) error {
	result := q.Frame
	result.Question = q.Name
	return result.Save(filepath.Join(r.Dir, "results"))
}

// Asked returns all questions as a report names them. What was measured at small sizes
// is not judged.
func Asked(scale Scale) (all []report.Asked) {
	for _, q := range All {
		a := report.Asked{Question: q.Name, Title: q.Frame.Title, Cases: q.caseNames(), Judge: q.Judge}
		if scale.Quick {
			a.Judge = nil
		}
		all = append(all, a)
	}
	return all
}

// Names returns the names of all questions.
func Names() (names []string) {
	for _, q := range All {
		names = append(names, q.Name)
	}
	return names
}

// arm is one of the things that are compared.
type arm struct {
	name string
	run  func(ctx context.Context) (report.Run, error)
}

// disturbed is the part of the machine, in per cent, that others may take.
const disturbed = 10

// alternate lets the arms take turns, A B C A B C, for so many windows, and
// adds their runs to the case. A window in which others took too much of the
// machine is measured once more, and the one that was disturbed less counts.
func alternate(ctx context.Context, env *lab.Env, c *report.Case, windows int, arms []arm) error {
	for w := range windows {
		for _, a := range arms {
			run, err := a.run(ctx)
			if err == nil && run[others] > disturbed && !env.Once {
				env.Logf("  others took %.0f %% of the machine, %s is measured again: %v", run[others], a.name, round(run))
				var again report.Run
				if again, err = a.run(ctx); err == nil && again[others] < run[others] {
					run = again
				}
			}
			if errors.Is(err, lab.ErrMissing) {
				env.Logf("SKIPPED: %s: %v", a.name, err)
				continue
			}
			if err != nil {
				return fmt.Errorf("%s, window %d: %w", a.name, w+1, err)
			}
			env.Logf("  %d/%d %-40s %v", w+1, windows, a.name, round(run))
			c.Add(a.name, run)
		}
	}
	return nil
}

func round(run report.Run) map[string]string {
	out := map[string]string{}
	for k, v := range run {
		out[k] = report.Number(v, 2)
	}
	return out
}

// meters returns meters with that of this program, whose work is not anybody
// else's.
func meters(m map[string]measure.Meter) map[string]measure.Meter {
	pid := os.Getpid()
	m["bench"] = func() (time.Duration, error) { return measure.CPU(pid) }
	return m
}

// perMillion returns CPU-seconds per million of n things.
func perMillion(d time.Duration, n int64) float64 { return d.Seconds() / float64(n) * 1e6 }
