package pgsource

import (
	"bytes"
	"encoding/binary"
	"errors"

	"penstock"
)

// copySignature begins every binary COPY (the manual's page on COPY, "Binary
// Format"); a flags field and the length of an extension follow it.
var copySignature = []byte("PGCOPY\n\xff\r\n\x00")

var errCopy = errors.New("COPY data is not in the binary format that was asked for")

// copyDecoder takes binary COPY data as an io.Writer and decodes it into rows.
type copyDecoder struct {
	table   *penstock.Table
	rows    *penstock.Rows
	decoder []decode
	skip    []int // see loadSkip
	limit   int
	flush   func(bad penstock.BadValues) error
	pace    func(rows int) error // called for every so many rows; nil: never
	every   int
	unpaced int

	rest   []byte             // of a message that ended inside a row
	header bool               // the header has been read
	done   bool               // the trailer has been read
	filled int                // bytes since the last flush
	bad    penstock.BadValues // since the last flush
	err    error
}

func newCopyDecoder(t *penstock.Table, types map[string]typeInfo, rows *penstock.Rows, limit int, flush func(bad penstock.BadValues) error) *copyDecoder {
	d := &copyDecoder{table: t, rows: rows, limit: limit, flush: flush}
	for i, c := range t.Columns {
		info := typeNamed(types, c.SourceType)
		d.decoder, d.skip = append(d.decoder, loadDecode(mapColumn(t, i, info))), append(d.skip, loadSkip(info))
	}
	return d
}

// Write implements io.Writer. The server sends a row per message, so p is
// nearly always decoded in place.
func (d *copyDecoder) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	b := p
	if len(d.rest) > 0 {
		d.rest = append(d.rest, p...)
		b = d.rest
	}
	n, err := d.consume(b)
	if err != nil {
		d.err = err
		return 0, err
	}
	d.rest = append(d.rest[:0], b[n:]...)
	return len(p), nil
}

// consume decodes complete rows and returns how many bytes they took.
func (d *copyDecoder) consume(b []byte) (int, error) {
	n := 0
	if !d.header {
		head := len(copySignature) + 8
		if len(b) < head {
			return 0, nil
		}
		if !bytes.HasPrefix(b, copySignature) {
			return 0, errCopy
		}
		extension := int(int32(binary.BigEndian.Uint32(b[head-4:])))
		if extension < 0 || len(b) < head+extension {
			return 0, nil
		}
		d.header = true
		n = head + extension
	}
	for n < len(b) && !d.done {
		large := len(b)-n >= penstock.LargeRow
		if large && d.filled > 0 {
			if err := d.flushRows(); err != nil {
				return n, err
			}
		}
		size, ok, err := d.row(b[n:], large)
		if err != nil {
			return n, err
		}
		if !ok {
			break
		}
		n += size
		d.filled += size
		if d.pace != nil && !d.done {
			if d.unpaced++; d.unpaced >= d.every {
				d.unpaced = 0
				if err := d.pace(d.every); err != nil {
					return n, err
				}
			}
		}
		if d.filled >= d.limit || large {
			if err := d.flushRows(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// row decodes one row, if b holds all of it. A large one is flushed before b
// changes, so that its values need no copy.
func (d *copyDecoder) row(b []byte, large bool) (size int, ok bool, err error) {
	if len(b) < 2 {
		return 0, false, nil
	}
	fields := int(int16(binary.BigEndian.Uint16(b)))
	if fields == -1 {
		d.done = true
		return 2, true, nil
	}
	if fields != len(d.decoder) {
		return 0, false, errCopy
	}
	end := 2
	for range fields {
		if len(b) < end+4 {
			return 0, false, nil
		}
		n := int(int32(binary.BigEndian.Uint32(b[end:])))
		end += 4
		if n > 0 {
			end += n
		}
	}
	if len(b) < end {
		return 0, false, nil
	}
	at := 2
	for i := range fields {
		v := &d.rows.Vectors[i]
		n := int(int32(binary.BigEndian.Uint32(b[at:])))
		at += 4
		if n < 0 {
			v.AppendNull()
			continue
		}
		if skip := d.skip[i]; large && skip >= 0 && n > 64<<10 {
			v.AppendAlias(b[at+skip : at+n])
		} else if !d.decoder[i](v, b[at:at+n]) {
			v.AppendNull()
			d.bad.Count(d.table.Columns[i].ID, 1)
		}
		at += n
	}
	return end, true, nil
}

func (d *copyDecoder) flushRows() error {
	err := d.flush(d.bad)
	d.rows.Clear()
	d.filled, d.bad = 0, nil
	return err
}

// finish flushes what is left and checks that the data was complete.
func (d *copyDecoder) finish() error {
	if d.err == nil && (!d.done || len(d.rest) > 0) {
		d.err = errCopy
	}
	if d.err == nil && d.rows.Len() > 0 {
		d.err = d.flushRows()
	}
	return d.err
}
