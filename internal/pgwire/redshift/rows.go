package redshift

import (
	"cmp"
	"strconv"
	"time"

	"penstock"
)

// rowWriter fills rows value by value, from the first column to the last and
// then on in the next row.
type rowWriter struct {
	rows *penstock.Rows
	col  int
}

func newRowWriter(columns []penstock.ResultColumn) *rowWriter {
	w := &rowWriter{rows: &penstock.Rows{}}
	for _, c := range columns {
		w.rows.Vectors = append(w.rows.Vectors, penstock.NewVector(c.Type))
	}
	return w
}

func (w *rowWriter) next() *penstock.Vector {
	v := &w.rows.Vectors[w.col]
	w.col = (w.col + 1) % len(w.rows.Vectors)
	return v
}

func (w *rowWriter) null() *rowWriter {
	w.next().AppendNull()
	return w
}

func (w *rowWriter) text(s string) *rowWriter {
	w.next().AppendString(s)
	return w
}

// known writes s, or NULL for "".
func (w *rowWriter) known(s string) *rowWriter {
	if s == "" {
		return w.null()
	}
	return w.text(s)
}

// checkpoint writes where a stream's destination stands.
func (w *rowWriter) checkpoint(s *penstock.StreamStatus) *rowWriter {
	position := cmp.Or(s.AppliedLabel, string(s.Applied))
	if position == "" {
		return w.null()
	}
	return w.text(checkpointText(position))
}

// tableID writes a table's identity where it is a number that fits.
func (w *rowWriter) tableID(id penstock.TableID) *rowWriter {
	n, err := strconv.ParseInt(string(id), 10, 32)
	if err != nil {
		return w.null()
	}
	return w.int32(int32(n))
}

func (w *rowWriter) float64(x float64) *rowWriter {
	w.next().AppendFloat64(x)
	return w
}

func (w *rowWriter) int32(x int32) *rowWriter {
	w.next().AppendInt32(x)
	return w
}

func (w *rowWriter) int64(x int64) *rowWriter {
	w.next().AppendInt64(x)
	return w
}

func (w *rowWriter) bool(x bool) *rowWriter {
	w.next().AppendBool(x)
	return w
}

func (w *rowWriter) time(t time.Time) *rowWriter {
	if t.IsZero() {
		return w.null()
	}
	w.next().AppendInt64(t.UnixMicro())
	return w
}
