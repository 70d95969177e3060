package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// place is where in a file something stands.
type place struct {
	path string
	line int
}

// value is a node of the file together with where it stands.
type value struct {
	place
	node *yaml.Node
}

// null reports whether nothing is written there: `key:` stands for its default.
func (v value) null() bool { return v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null" }

// kind names what is written there, for messages.
func (v value) kind() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// decoder turns nodes into a Config and collects all faults on the way.
type decoder struct {
	faults
	dir         string // the folder that relative paths are relative to
	skipSecrets bool   // leave {env: …} and {file: …} unread
}

// fields are the keys that a mapping may have, and what to do with each value.
type fields map[string]func(value)

// later marks a key that a later version will know.
func (d *decoder) later(v value) { d.add(v.place, "is not available in this version") }

// mapping calls the function of every key in v and reports unknown ones.
func (d *decoder) mapping(v value, known fields) {
	d.each(v, func(key string, item value) {
		switch f := known[key]; {
		case f == nil:
			d.add(item.place, "unknown key")
		case !item.null():
			f(item)
		}
	})
}

// each calls f for every key of the mapping v, in the order of the file.
// Nothing written is a mapping without keys.
func (d *decoder) each(v value, f func(key string, item value)) {
	if v.null() {
		return
	}
	if v.node.Kind != yaml.MappingNode {
		d.add(v.place, "must be a mapping, is %s", v.kind())
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k := v.node.Content[i]
		path := strings.TrimPrefix(v.path+"."+k.Value, ".")
		if seen[k.Value] {
			d.add(place{path, k.Line}, "is there twice")
			continue
		}
		seen[k.Value] = true
		f(k.Value, value{place{path, k.Line}, target(v.node.Content[i+1])})
	}
}

// items calls f for every item of the list v.
func (d *decoder) items(v value, f func(item value)) {
	if v.node.Kind != yaml.SequenceNode {
		d.add(v.place, "must be a list, is %s", v.kind())
		return
	}
	for i, n := range v.node.Content {
		f(value{place{fmt.Sprintf("%s[%d]", v.path, i), n.Line}, target(n)})
	}
}

// target follows aliases.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// scalar returns what is written at v, whether it looks like a number or not.
func (d *decoder) scalar(v value) (string, bool) {
	if v.node.Kind != yaml.ScalarNode {
		d.add(v.place, "must be a single value, is %s", v.kind())
		return "", false
	}
	return v.node.Value, true
}

// parsed sets dst to what parse makes of v, or reports parse's error.
func parsed[T any](d *decoder, dst *T, parse func(string) (T, error)) func(value) {
	return func(v value) {
		s, ok := d.scalar(v)
		if !ok {
			return
		}
		x, err := parse(s)
		if err != nil {
			d.add(v.place, "%v", err)
			return
		}
		*dst = x
	}
}

// path returns a parser of paths, which are relative to the file's folder.
func (d *decoder) path(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("must not be empty")
	}
	return joinPath(d.dir, s), nil
}

func joinPath(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// secret reads a literal, {env: NAME} or {file: PATH}.
func (d *decoder) secret(dst *Secret) func(value) {
	return func(v value) {
		if v.node.Kind == yaml.ScalarNode {
			if v.node.Value == "" {
				d.add(v.place, "must not be empty")
			}
			dst.text = v.node.Value
			return
		}
		if v.node.Kind != yaml.MappingNode || len(v.node.Content) != 2 {
			d.add(v.place, "must be a text, {env: NAME} or {file: PATH}")
			return
		}
		d.mapping(v, fields{
			"env":  d.resolved(dst, fromEnvironment),
			"file": d.resolved(dst, d.fromFile),
		})
	}
}

func (d *decoder) resolved(dst *Secret, read func(string) (string, error)) func(value) {
	return func(v value) {
		name, ok := d.scalar(v)
		if !ok || d.skipSecrets {
			return
		}
		text, err := read(name)
		switch {
		case err != nil:
			d.add(v.place, "%v", err)
		case text == "":
			d.add(v.place, "%s is empty", name)
		}
		dst.text = text
	}
}

func fromEnvironment(name string) (string, error) {
	text, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	return text, nil
}

// fromFile reads a file's text without its last line end.
func (d *decoder) fromFile(path string) (string, error) {
	b, err := os.ReadFile(joinPath(d.dir, path))
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}
