package pgwire

import (
	"encoding/binary"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
)

// flushAt is how many bytes are gathered before they are sent on their own.
const flushAt = 64 << 10

// outbound gathers messages to the client. After an error of the connection
// it drops everything; the reader notices the end of the connection too.
type outbound struct {
	w   io.Writer
	buf []byte
	err error
}

func (o *outbound) send(m pgproto3.BackendMessage) {
	if o.err != nil {
		return
	}
	buf, err := m.Encode(o.buf)
	if err != nil {
		o.err = err
		return
	}
	o.buf = buf
	if len(o.buf) >= flushAt {
		o.flush()
	}
}

// raw sends encoded messages.
func (o *outbound) raw(b []byte) {
	if o.err != nil {
		return
	}
	o.buf = append(o.buf, b...)
	if len(o.buf) >= flushAt {
		o.flush()
	}
}

func (o *outbound) flush() {
	if o.err == nil && len(o.buf) > 0 {
		_, o.err = o.w.Write(o.buf)
	}
	if cap(o.buf) > 4*flushAt {
		o.buf = nil
	}
	o.buf = o.buf[:0]
}

// rowEncoder writes rows of a result as DataRow messages.
type rowEncoder struct {
	types   []wireType
	formats []int16 // per column
	style   textStyle
}

// maxRow is the largest row that can be sent; PostgreSQL's own limit.
const maxRow = 1<<30 - 1

// row appends row i as a DataRow.
func (e *rowEncoder) row(dst []byte, rows *penstock.Rows, i int) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 'D', 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(e.types)))
	for c := range e.types {
		v := &rows.Vectors[c]
		if v.IsNull(i) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		if e.formats[c] == 1 {
			dst = e.types[c].binary(dst, v, i)
		} else {
			dst = e.types[c].text(dst, v, i, &e.style)
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
		if len(dst)-start > maxRow {
			return dst[:start], &penstock.SQLError{State: "54000", Message: "a row of the result exceeds 1 GiB"}
		}
	}
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst, nil
}
