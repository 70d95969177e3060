package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load reads a configuration file and the secrets that it refers to. If the
// content is at fault the error is an *Error with every fault that there is.
func Load(path string) (*Config, error) { return load(path, false) }

// LoadWithoutSecrets is Load for commands that need none: what refers to the
// environment or to other files is left empty.
func LoadWithoutSecrets(path string) (*Config, error) { return load(path, true) }

func load(path string, skipSecrets bool) (*Config, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration file %s (choose another with --config)", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	d := &decoder{dir: filepath.Dir(path), skipSecrets: skipSecrets}
	c := d.file(text)
	if err := d.err(path); err != nil {
		return nil, err
	}
	return c, nil
}

// file decodes a file's text.
func (d *decoder) file(text []byte) *Config {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && (value{node: doc.Content[0]}).null() {
		d.add(place{}, "the file is empty")
		return nil
	}
	if err != nil {
		d.syntax(err)
		return nil
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		d.add(place{}, "has more than one YAML document")
		return nil
	}
	root := value{place{"", doc.Content[0].Line}, doc.Content[0]}
	c := d.config(root)
	d.across(root, c)
	return c
}

var yamlLine = regexp.MustCompile(`^yaml: line ([0-9]+): `)

// syntax reports what the YAML parser says, with its line in our form.
func (d *decoder) syntax(err error) {
	message, at := err.Error(), place{}
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		at.line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	d.add(at, "not valid YAML: %s", strings.TrimPrefix(message, "yaml: "))
}
