package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"penstock/internal/policy"
)

// policy reads an access key's policy. What is wrong inside is reported with
// its own path and line.
func (d *decoder) policy(v value) *policy.Policy {
	p, faults := policy.ReadIdentity(plain(v.node))
	for _, f := range faults {
		at := place{v.path, v.line}
		if f.Path != "" {
			at = place{v.path + "." + f.Path, lineOf(v, f.Path)}
		}
		d.add(at, "%s", f.Message)
	}
	return &p
}

// plain turns a node into maps, lists and texts. Every scalar is a text: a
// date and a number are what is written.
func plain(n *yaml.Node) any {
	n = target(n)
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, plain(item))
		}
		return list
	}
	return n.Value
}

var pathStep = regexp.MustCompile(`[^.\[\]]+`)

// lineOf returns the line of what a path within v leads to, or of the
// innermost thing around it that is in the file.
func lineOf(v value, path string) int {
	line, n := v.line, v.node
	for _, step := range pathStep.FindAllString(path, -1) {
		n = target(n)
		switch n.Kind {
		case yaml.MappingNode:
			found := false
			for i := 0; i+1 < len(n.Content) && !found; i += 2 {
				if found = n.Content[i].Value == step; found {
					line, n = n.Content[i].Line, n.Content[i+1]
				}
			}
			if !found {
				return line
			}
		case yaml.SequenceNode:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(n.Content) {
				return line
			}
			n = n.Content[i]
			line = n.Line
		default:
			return line
		}
	}
	return line
}

var (
	keyNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	aliasPattern   = regexp.MustCompile(`^alias/[A-Za-z0-9/_-]{1,250}$`)
)

func (d *decoder) kmsKeys(v value) (all []KMSKey) {
	aliases := map[string]string{}
	d.each(v, func(name string, v value) {
		if !keyNamePattern.MatchString(name) {
			d.add(v.place, "the name %q must be 1 to 64 letters, digits, hyphens and underscores", name)
		}
		k := KMSKey{Name: name, Enabled: true}
		d.mapping(v, fields{
			"secret":  func(v value) { d.keyMaterial(v, &k.Secret) },
			"enabled": parsed(d, &k.Enabled, parseBool),
			"aliases": func(v value) {
				d.items(v, func(v value) {
					alias, ok := d.scalar(v)
					switch other, taken := aliases[alias]; {
					case !ok:
						return
					case !aliasPattern.MatchString(alias) || strings.HasPrefix(alias, "alias/aws/"):
						d.add(v.place, "must be like alias/app, of letters, digits and / _ -, and not begin with alias/aws/, is %q", alias)
					case taken:
						d.add(v.place, "%s is an alias of kms_keys.%s already", alias, other)
					}
					aliases[alias] = name
					k.Aliases = append(k.Aliases, alias)
				})
			},
		})
		d.require(v, "secret")
		all = append(all, k)
	})
	return all
}

// keyMaterial reads 32 bytes, written as a secret in base64 or hexadecimal.
func (d *decoder) keyMaterial(v value, dst *Secret) {
	var text Secret
	faults := len(d.list)
	d.secret(&text)(v)
	if d.skipSecrets && text.IsEmpty() || len(d.list) > faults {
		return
	}
	written := strings.TrimSpace(text.Reveal())
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString} {
		if b, err := decode(written); err == nil && len(b) == 32 {
			dst.text = string(b)
			return
		}
	}
	d.add(v.place, "must be 32 bytes in base64 or hexadecimal, such as openssl rand -base64 32 prints")
}

func (d *decoder) quotas(v value, q *Quotas) {
	d.mapping(v, fields{
		"per_account": parsed(d, &q.PerAccount, parseCount),
		"per_target":  parsed(d, &q.PerTarget, parseCount),
		"per_source":  parsed(d, &q.PerSource, parseCount),
	})
}

func (d *decoder) throttle(v value, t *Throttle) {
	d.mapping(v, fields{
		"rate":  parsed(d, &t.Rate, parseRate),
		"burst": parsed(d, &t.Burst, parseBurst),
	})
	if t.Rate > 0 && t.Burst == 0 {
		t.Burst = max(1, int(math.Ceil(t.Rate)))
	}
	if t.Rate == 0 && t.Burst > 0 {
		d.add(place{v.path + ".burst", at(v, "burst").line}, "has no effect without a rate; set throttle.rate")
	}
}

// parseCount parses a number of things of which there may be at least one.
func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("must be a number from 1 to 1000000, is %q", s)
	}
	return n, nil
}

func parseRate(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0) || x > 1e6 {
		return 0, fmt.Errorf("must be a number of requests per second from 0 (no limit) to 1000000, is %q", s)
	}
	return x, nil
}

func parseBurst(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1_000_000 {
		return 0, errors.New("must be a number of requests from 0 to 1000000")
	}
	return n, nil
}
