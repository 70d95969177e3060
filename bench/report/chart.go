package report

import (
	"image/color"
	"math"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// palette has colours that people who cannot tell red from green can tell.
var palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff},
}

// series is one bar in each group.
type series struct {
	name        string
	arm, metric string
}

func (r *Result) series() (out []series) {
	arms := r.Charts.Arms
	if len(arms) == 0 {
		for i := range r.Cases {
			for _, a := range r.Cases[i].Arms {
				if !slices.Contains(arms, a.Name) {
					arms = append(arms, a.Name)
				}
			}
		}
	}
	for _, arm := range arms {
		for _, key := range r.Charts.Metrics {
			s := series{arm, arm, key}
			if len(r.Charts.Metrics) > 1 {
				for _, m := range r.Metrics {
					if m.Key == key {
						s.name = m.Title
					}
				}
				if len(arms) > 1 {
					s.name = arm + ", " + s.name
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// bars are the bars of one series: medians, and the spread around them.
type bars struct {
	plotter.Values
	low, high plotter.Values // distances from the median
}

func (r *Result) bars(s series) (b bars) {
	for i := range r.Cases {
		sample := r.Cases[i].Sample(s.arm, s.metric)
		if len(sample) == 0 {
			b.Values, b.low, b.high = append(b.Values, 0), append(b.low, 0), append(b.high, 0)
			continue
		}
		m := sample.Median()
		b.Values, b.low, b.high = append(b.Values, m), append(b.low, m-sample.Min()), append(b.high, sample.Max()-m)
	}
	return b
}

// draw writes the picture of the question as SVG.
func (r *Result) draw(path string) error {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = r.Charts.Title, r.Charts.Axis
	p.Title.Padding = vg.Points(6)
	p.Legend.Top, p.Legend.Left = true, true
	p.Y.Tick.Marker = plot.TickerFunc(ticks)
	all := r.series()
	const group = 0.8 // of the distance between two cases
	width := group / float64(max(len(all), 1))
	most, least := 0.0, math.Inf(1)
	for i, s := range all {
		b := r.bars(s)
		points := &groupBars{bars: b, at: -group/2 + width*(float64(i)+0.5), width: width * 0.9, colour: palette[i%len(palette)]}
		for k, v := range b.Values {
			most = max(most, v+b.high[k])
			if v > 0 {
				least = min(least, v-b.low[k])
			}
		}
		p.Add(points)
		p.Legend.Add(s.name, points)
	}
	names := make([]string, len(r.Cases))
	for i := range r.Cases {
		names[i] = r.Cases[i].Name
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.6, float64(len(names))-0.4
	p.Y.Min, p.Y.Max = 0, most*1.3 // room for the legend
	if r.Charts.Log && least > 0 && !math.IsInf(least, 1) {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{}
		p.Y.Min = math.Pow(10, math.Floor(math.Log10(least)))
		p.Y.Max = math.Pow(10, math.Ceil(math.Log10(most)+0.5))
	}
	w := vg.Length(max(16, 2.2*float64(len(names)))) * vg.Centimeter
	c := vgsvg.New(w, 9*vg.Centimeter)
	p.Draw(draw.New(c))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// ticks are the usual ones, their thousands apart.
func ticks(least, most float64) []plot.Tick {
	all := plot.DefaultTicks{}.Ticks(least, most)
	for i := range all {
		if t := &all[i]; t.Label != "" {
			digits := 0
			if most < 10 {
				digits = 1
			}
			t.Label = Number(t.Value, digits)
		}
	}
	return all
}

// groupBars draws the bars of a series, one in each group. Unlike plotter's
// bar chart it works on a logarithmic axis, and it shows the spread.
type groupBars struct {
	bars
	at, width float64 // of its centre from the group's, and its own, where groups are 1 apart
	colour    color.Color
}

// Plot implements plot.Plotter.
func (g *groupBars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	line := draw.LineStyle{Color: color.Black, Width: vg.Points(0.7)}
	for i, v := range g.Values {
		if v <= 0 {
			continue
		}
		centre := float64(i) + g.at
		left, right := x(centre-g.width/2), x(centre+g.width/2)
		base, top := y(p.Y.Min), y(v)
		c.FillPolygon(g.colour, []vg.Point{{X: left, Y: base}, {X: right, Y: base}, {X: right, Y: top}, {X: left, Y: top}})
		if g.low[i] > 0 || g.high[i] > 0 {
			low, high := y(max(v-g.low[i], p.Y.Min)), y(v+g.high[i])
			c.StrokeLine2(line, x(centre), low, x(centre), high)
			for _, end := range []vg.Length{low, high} {
				c.StrokeLine2(line, x(centre)-vg.Points(2), end, x(centre)+vg.Points(2), end)
			}
		}
	}
}

// Thumbnail implements plot.Thumbnailer.
func (g *groupBars) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(g.colour, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Min.X, Y: c.Max.Y}})
}
