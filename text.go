package penstock

import "unicode/utf8"

// ReplaceInvalidText replaces each byte of a text or JSON value that is not
// part of UTF-8 by a character.
func (r *Rows) ReplaceInvalidText(by byte) {
	for i := range r.Vectors {
		v := &r.Vectors[i]
		if k := v.Type().Kind; k == TypeText || k == TypeJSON {
			v.replaceInvalidText(by)
		}
	}
}

// replaceInvalidText works in place: what replaces a byte is a byte.
func (v *Vector) replaceInvalidText(by byte) {
	if utf8.Valid(v.data) {
		// Values that are valid together may not be each by itself, where one
		// ends inside a character that the next one completes.
		whole := true
		for _, end := range v.offsets {
			whole = whole && (int(end) == len(v.data) || utf8.RuneStart(v.data[end]))
		}
		if whole {
			return
		}
	}
	for i := range v.n {
		for b := v.Bytes(i); len(b) > 0; {
			r, n := utf8.DecodeRune(b)
			if r == utf8.RuneError && n == 1 {
				b[0] = by
			}
			b = b[n:]
		}
	}
}
