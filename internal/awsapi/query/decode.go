package query

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"penstock/internal/awsapi/fault"
)

// Decode reads the parameters of a request by the shape of its input, which
// is a structure. It returns the names of parameters that the shape does not
// know, too.
func Decode(params []Param, input *Shape) (v Value, unknown []string, err error) {
	root := &node{}
	for _, p := range params {
		if err := root.insert(p); err != nil {
			return Value{}, nil, err
		}
	}
	d := decoder{}
	v, err = d.structure(root, input, "")
	slices.Sort(d.unknown)
	return v, d.unknown, err
}

// node is a step of parameter names: "Tags.Tag.1.Key" is four nodes deep.
type node struct {
	value    *string
	children map[string]*node
}

func (n *node) insert(p Param) error {
	for word := range strings.SplitSeq(p.Name, ".") {
		child := n.children[word]
		if child == nil {
			if n.children == nil {
				n.children = map[string]*node{}
			}
			child = &node{}
			n.children[word] = child
		}
		n = child
	}
	if n.value != nil {
		return fault.InvalidQueryParameter.Errorf("The parameter %s is given more than once.", p.Name)
	}
	n.value = &p.Value
	return nil
}

// decoder walks nodes and shapes together.
type decoder struct {
	unknown []string
}

func (d *decoder) decode(n *node, s *Shape, path string) (Value, error) {
	switch s.Kind {
	case KindText, KindInteger, KindBoolean, KindTime:
		return d.scalar(n, s, path)
	case KindList:
		return d.list(n, s, path)
	case KindMap:
		return d.entries(n, path)
	case KindStructure:
		if n.value != nil {
			return Value{}, errForm(path, "is a structure and takes no value of its own")
		}
		return d.structure(n, s, path+".")
	}
	return Value{}, errForm(path, "cannot be given")
}

func (d *decoder) scalar(n *node, s *Shape, path string) (Value, error) {
	if len(n.children) > 0 || n.value == nil {
		return Value{}, errForm(path, "is a single value and has no parts")
	}
	switch s.Kind {
	case KindInteger:
		return s.checkInteger(path, *n.value)
	case KindBoolean:
		return s.checkBoolean(path, *n.value)
	case KindTime:
		return s.checkTime(path, *n.value)
	}
	return s.checkText(path, *n.value)
}

func (d *decoder) structure(n *node, s *Shape, prefix string) (Value, error) {
	v := Value{kind: KindStructure, shape: s, fields: map[string]Value{}}
	for _, m := range s.Members {
		child, ok := n.children[m.Name]
		if !ok {
			if m.Required {
				return Value{}, fault.MissingParameter.Errorf("The request must contain the parameter %s.", prefix+m.Name)
			}
			continue
		}
		field, err := d.decode(child, m.Shape, prefix+m.Name)
		if err != nil {
			return Value{}, err
		}
		v.fields[m.Name] = field
	}
	for word := range n.children {
		if _, ok := s.member(word); !ok {
			d.unknown = append(d.unknown, prefix+word)
		}
	}
	return v, nil
}

// list reads X.<item>.1, X.<item>.2 …, or X.member.N; "X=" is an empty list.
func (d *decoder) list(n *node, s *Shape, path string) (Value, error) {
	items, prefix, err := elements(n, path, s.Item)
	if err != nil {
		return Value{}, err
	}
	v := Value{kind: KindList, list: make([]Value, len(items))}
	for i, item := range items {
		if v.list[i], err = d.decode(item, s.Of, prefix+strconv.Itoa(i+1)); err != nil {
			return Value{}, err
		}
	}
	return v, nil
}

// entries reads X.entry.1.key, X.entry.1.value, …; "X=" is an empty map.
func (d *decoder) entries(n *node, path string) (Value, error) {
	items, prefix, err := elements(n, path, "entry")
	if err != nil {
		return Value{}, err
	}
	pair := Structure(Required("key", Text()), Required("value", Text()))
	v := Value{kind: KindMap, entries: make(map[string]string, len(items))}
	for i, item := range items {
		at := prefix + strconv.Itoa(i+1)
		entry, err := d.decode(item, pair, at)
		if err != nil {
			return Value{}, err
		}
		if _, taken := v.entries[entry.Text("key")]; taken {
			return Value{}, fault.InvalidParameterValue.Errorf("The parameter %s repeats the key '%s'.", at, entry.Text("key"))
		}
		v.entries[entry.Text("key")] = entry.Text("value")
	}
	return v, nil
}

// elements returns the numbered elements of a list or map in their order, and
// the prefix of their names.
func elements(n *node, path, item string) ([]*node, string, error) {
	if n.value != nil {
		if *n.value != "" || len(n.children) > 0 {
			return nil, "", errForm(path, "is a list: its elements are named "+path+"."+item+".1 and so on")
		}
		return nil, "", nil
	}
	names := slices.Collect(maps.Keys(n.children))
	if len(names) != 1 || names[0] != item && names[0] != "member" {
		return nil, "", errForm(path, "is a list: its elements are named "+path+"."+item+".1 and so on")
	}
	numbered, prefix := n.children[names[0]], path+"."+names[0]+"."
	if numbered.value != nil {
		return nil, "", errForm(prefix+"N", "must be numbered")
	}
	items := make([]*node, len(numbered.children))
	for word, child := range numbered.children {
		i, err := strconv.Atoi(word)
		switch {
		case err != nil || i < 1 || strconv.Itoa(i) != word:
			return nil, "", errForm(prefix+word, "is not numbered: numbers are 1, 2, 3 and so on")
		case i > len(items):
			return nil, "", errForm(prefix+word, "comes after a gap: elements are numbered from 1 without gaps")
		}
		items[i-1] = child
	}
	return items, prefix, nil
}

func errForm(path, what string) error {
	return fault.InvalidQueryParameter.Errorf("The parameter %s %s.", path, what)
}
