package query

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"penstock/internal/awsapi/fault"
)

// JSONContentType is that of requests and replies in JSON 1.1.
const JSONContentType = "application/x-amz-json-1.1"

// DecodeJSON is Decode for a service that speaks JSON 1.1. An empty body is an
// empty object; null is a member that was not given.
func DecodeJSON(body []byte, input *Shape) (v Value, unknown []string, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	var document any
	if !utf8.Valid(body) || json.Unmarshal(body, &document) != nil {
		return Value{}, nil, fault.InvalidQueryParameter.Errorf("The request body is not valid JSON.")
	}
	d := decoder{}
	v, err = d.json(document, input, "")
	slices.Sort(d.unknown)
	return v, d.unknown, err
}

func (d *decoder) json(x any, s *Shape, path string) (Value, error) {
	switch s.Kind {
	case KindText:
		if text, ok := x.(string); ok {
			return s.checkText(path, text)
		}
	case KindInteger:
		if n, ok := x.(float64); ok && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return s.checkInteger(path, strconv.FormatInt(int64(n), 10))
		}
	case KindBoolean:
		if b, ok := x.(bool); ok {
			return BooleanValue(b), nil
		}
	case KindTime:
		if text, ok := x.(string); ok {
			return s.checkTime(path, text)
		}
	case KindList:
		if items, ok := x.([]any); ok {
			return d.jsonList(items, s, path)
		}
	case KindStructure:
		if members, ok := x.(map[string]any); ok {
			return d.jsonStructure(members, s, path)
		}
	}
	if path == "" {
		path = "the request"
	}
	return Value{}, fault.InvalidQueryParameter.Errorf("The value of %s has the wrong type.", path)
}

func (d *decoder) jsonList(items []any, s *Shape, path string) (Value, error) {
	v := Value{kind: KindList, list: make([]Value, len(items))}
	for i, item := range items {
		var err error
		if v.list[i], err = d.json(item, s.Of, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return Value{}, err
		}
	}
	return v, nil
}

func (d *decoder) jsonStructure(members map[string]any, s *Shape, path string) (Value, error) {
	if path != "" {
		path += "."
	}
	v := Value{kind: KindStructure, shape: s, fields: map[string]Value{}}
	for _, m := range s.Members {
		x := members[m.Name]
		if x == nil {
			if m.Required {
				return Value{}, fault.MissingParameter.Errorf("The request must contain the parameter %s.", path+m.Name)
			}
			continue
		}
		field, err := d.json(x, m.Shape, path+m.Name)
		if err != nil {
			return Value{}, err
		}
		v.fields[m.Name] = field
	}
	for name := range members {
		if _, ok := s.member(name); !ok {
			d.unknown = append(d.unknown, path+shorten(name))
		}
	}
	return v, nil
}

// ReplyJSON is Reply for a service that speaks JSON 1.1.
func ReplyJSON(action string, result Value, output *Shape) ([]byte, error) {
	if output == nil {
		return []byte("{}"), nil
	}
	x, err := jsonOf(action+"Result", result, output)
	if err != nil {
		return nil, fmt.Errorf("encode the reply to %s: %w", action, err)
	}
	return json.Marshal(x)
}

// ErrorReplyJSON is ErrorReply for a service that speaks JSON 1.1.
func ErrorReplyJSON(code, message string) []byte {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message}) // cannot fail
	return body
}

// jsonOf turns a value into what encoding/json writes, after the same checks
// that the XML writer makes.
func jsonOf(name string, v Value, s *Shape) (any, error) {
	if v.kind != s.Kind {
		return nil, fmt.Errorf("%s is not of its kind", name)
	}
	switch s.Kind {
	case KindInteger:
		return v.number, nil
	case KindBoolean:
		return v.number != 0, nil
	case KindTime:
		return FormatTime(v.time), nil
	case KindMap:
		return v.entries, nil
	case KindList:
		list := make([]any, len(v.list))
		for i, item := range v.list {
			var err error
			if list[i], err = jsonOf(fmt.Sprintf("%s[%d]", name, i), item, s.Of); err != nil {
				return nil, err
			}
		}
		return list, nil
	case KindStructure:
		if err := s.checkMembers(name, v); err != nil {
			return nil, err
		}
		object := map[string]any{}
		for _, m := range s.Members {
			field, ok := v.fields[m.Name]
			if !ok {
				continue
			}
			x, err := jsonOf(m.Name, field, m.Shape)
			if err != nil {
				return nil, err
			}
			object[m.Name] = x
		}
		return object, nil
	}
	return v.text, nil
}
