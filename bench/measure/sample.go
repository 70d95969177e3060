package measure

import (
	"math"
	"slices"
)

// Sample holds the repetitions of one measurement.
type Sample []float64

// Median returns the middle of the sample, or the mean of the two in the
// middle; NaN if it is empty.
func (s Sample) Median() float64 { return s.Quantile(0.5) }

// Quantile returns the value below which a part q of the sample lies, between
// two values where it lies between them; NaN if the sample is empty.
func (s Sample) Quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// Min returns the least value; NaN if the sample is empty.
func (s Sample) Min() float64 { return s.Quantile(0) }

// Max returns the greatest value; NaN if the sample is empty.
func (s Sample) Max() float64 { return s.Quantile(1) }
