package question

import (
	"fmt"
	"math"

	"penstock/bench/measure"
	"penstock/bench/report"
)

// Keys of metrics that several questions have.
const (
	rate     = "rate"     // per second
	wall     = "wall"     // seconds
	ours     = "cpu"      // CPU-seconds per million of what is compared
	sources  = "cpu_pg"   // the same of the source server
	peak     = "rss"      // MiB
	over     = "over"     // peak RSS beyond memory, in MiB
	others   = "others"   // part of the machine, in per cent
	penstock = "penstock" // the arm that is us
)

// goalAtLeast judges the median of a sample that should be so large; an empty
// one is not judged.
func goalAtLeast(goals []report.Goal, what string, s measure.Sample, least float64, digits int, unit string) []report.Goal {
	return judge(goals, what, "≥ "+report.Number(least, digits)+unit, s, digits, unit, func(x float64) bool { return x >= least })
}

// goalAtMost judges the median of a sample that should be so small.
func goalAtMost(goals []report.Goal, what string, s measure.Sample, most float64, digits int, unit string) []report.Goal {
	return judge(goals, what, "≤ "+report.Number(most, digits)+unit, s, digits, unit, func(x float64) bool { return x <= most })
}

func judge(goals []report.Goal, what, goal string, s measure.Sample, digits int, unit string, met func(float64) bool) []report.Goal {
	m := s.Median()
	if math.IsNaN(m) {
		return goals
	}
	// What is shown is what is judged, but with the digits that the goal has
	// something just missed would look met.
	return append(goals, report.Goal{What: what, Goal: goal, Got: report.Number(m, digits+1) + unit, Met: met(m)})
}

// memoryGoal judges the peaks of all runs of the program: the worst counts.
func memoryGoal(goals []report.Goal, r *report.Result) []report.Goal {
	var worst measure.Sample
	for i := range r.Cases {
		for _, a := range r.Cases[i].Arms {
			worst = append(worst, r.Cases[i].Sample(a.Name, over)...)
		}
	}
	if len(worst) == 0 {
		return goals
	}
	m := worst.Max()
	return append(goals, report.Goal{What: "peak RSS, the worst of all runs", Goal: "≤ `memory` + 128 MiB", Got: fmt.Sprintf("`memory` %+.0f MiB", m), Met: m <= 128})
}
