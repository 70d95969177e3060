package query

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"penstock/internal/awsapi/fault"
)

// ContentType is that of replies.
const ContentType = "text/xml"

// FormatTime returns a moment as replies write it: ISO 8601, UTC, milliseconds.
func FormatTime(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// Reply encodes the reply to an action. A nil output shape is that of an
// action that returns nothing: its reply has no Result element, but is not
// empty. An error means that result does not fit the shape.
func Reply(namespace, action, requestID string, result Value, output *Shape) ([]byte, error) {
	w := &writer{}
	w.open(action+"Response", namespace)
	if output != nil {
		if err := w.value(action+"Result", result, output); err != nil {
			return nil, fmt.Errorf("encode the reply to %s: %w", action, err)
		}
	}
	w.open("ResponseMetadata", "")
	w.leaf("RequestId", requestID)
	w.close("ResponseMetadata")
	w.close(action + "Response")
	return w.bytes(), nil
}

// ErrorReply encodes a failure.
func ErrorReply(namespace, requestID string, e *fault.Error) []byte {
	w := &writer{}
	w.open("ErrorResponse", namespace)
	w.open("Error", "")
	w.leaf("Type", e.Type())
	w.leaf("Code", e.Code.Name)
	w.leaf("Message", e.Message)
	w.close("Error")
	w.leaf("RequestId", requestID)
	w.close("ErrorResponse")
	return w.bytes()
}

// writer writes indented XML, a line per element.
type writer struct {
	b     bytes.Buffer
	depth int
}

func (w *writer) bytes() []byte { return w.b.Bytes() }

func (w *writer) indent() {
	for range w.depth {
		w.b.WriteString("  ")
	}
}

func (w *writer) open(name, namespace string) {
	w.indent()
	w.b.WriteString("<" + name)
	if namespace != "" {
		w.b.WriteString(` xmlns="`)
		w.text(namespace)
		w.b.WriteByte('"')
	}
	w.b.WriteString(">\n")
	w.depth++
}

func (w *writer) close(name string) {
	w.depth--
	w.indent()
	w.b.WriteString("</" + name + ">\n")
}

// leaf writes an element that holds text. Writing to a Buffer cannot fail.
func (w *writer) leaf(name, text string) {
	w.indent()
	if text == "" {
		w.b.WriteString("<" + name + "/>\n")
		return
	}
	w.b.WriteString("<" + name + ">")
	w.text(text)
	w.b.WriteString("</" + name + ">\n")
}

// text writes character data. Most of it needs no escapes.
func (w *writer) text(s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20, c >= 0x7f, c == '<', c == '>', c == '&', c == '\'', c == '"':
			_ = xml.EscapeText(&w.b, []byte(s))
			return
		}
	}
	w.b.WriteString(s)
}

func (w *writer) value(name string, v Value, s *Shape) error {
	if v.kind != s.Kind {
		return fmt.Errorf("%s is not of its kind", name)
	}
	switch s.Kind {
	case KindText:
		w.leaf(name, v.text)
	case KindInteger:
		w.leaf(name, strconv.Itoa(v.number))
	case KindBoolean:
		w.leaf(name, strconv.FormatBool(v.number != 0))
	case KindTime:
		w.leaf(name, FormatTime(v.time))
	case KindList:
		return w.list(name, v, s)
	case KindMap:
		w.entries(name, v)
	case KindStructure:
		return w.structure(name, v, s)
	}
	return nil
}

func (w *writer) list(name string, v Value, s *Shape) error {
	if len(v.list) == 0 {
		w.leaf(name, "")
		return nil
	}
	w.open(name, "")
	for _, item := range v.list {
		if err := w.value(s.Item, item, s.Of); err != nil {
			return err
		}
	}
	w.close(name)
	return nil
}

func (w *writer) entries(name string, v Value) {
	if len(v.entries) == 0 {
		w.leaf(name, "")
		return
	}
	w.open(name, "")
	for _, key := range slices.Sorted(maps.Keys(v.entries)) {
		w.open("entry", "")
		w.leaf("key", key)
		w.leaf("value", v.entries[key])
		w.close("entry")
	}
	w.close(name)
}

// checkMembers holds the members of a reply against its shape.
func (s *Shape) checkMembers(name string, v Value) error {
	for field := range v.fields {
		if _, ok := s.member(field); !ok {
			return fmt.Errorf("%s has no member %s", name, field)
		}
	}
	for _, m := range s.Members {
		if _, ok := v.fields[m.Name]; !ok && m.Required {
			return fmt.Errorf("%s lacks its member %s", name, m.Name)
		}
	}
	return nil
}

// structure writes the members that are given, in the order of the shape.
func (w *writer) structure(name string, v Value, s *Shape) error {
	if err := s.checkMembers(name, v); err != nil {
		return err
	}
	w.open(name, "")
	for _, m := range s.Members {
		field, ok := v.fields[m.Name]
		if !ok {
			continue
		}
		if err := w.value(m.Name, field, m.Shape); err != nil {
			return err
		}
	}
	w.close(name)
	return nil
}
