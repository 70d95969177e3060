package pgwire

import (
	"io"
	"testing"
)

// BenchmarkRows measures how fast rows are written for the wire: a column
// of each type.
func BenchmarkRows(b *testing.B) {
	a := everything()
	rows := a.chunks()[0]
	for name, format := range map[string]int16{"text": 0, "binary": 1} {
		b.Run(name, func(b *testing.B) {
			e := rowEncoder{style: textStyle{extraFloatDigits: 1}}
			for _, c := range a.columns {
				e.types = append(e.types, typeOf(c))
				e.formats = append(e.formats, format)
			}
			out := outbound{w: io.Discard}
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if out.buf, err = e.row(out.buf, rows, 0); err != nil {
					b.Fatal(err)
				}
				out.raw(nil)
			}
		})
	}
}
