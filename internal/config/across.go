package config

import (
	"net"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

// across reports faults that lie between keys and sections: bounds, names, namespaces and
// addresses that are used twice.
func (d *decoder) across(root value, c *Config) {
	for _, t := range c.Targets {
		if c.Source(t.Name) != nil {
			d.add(at(root, "targets", t.Name), "the name %s is a source's already; names are unique across both", t.Name)
		}
	}
	for _, s := range c.Sources {
		if s.WALAlarm > 0 && s.WALLimit > 0 && s.WALAlarm >= s.WALLimit {
			d.add(at(root, "sources", s.Name, "wal_alarm"), "must be less than wal_limit (%s), or nobody is told before that", writeSize(s.WALLimit))
		}
	}
	namespaces := map[uuid.UUID]string{}
	for _, t := range c.Targets {
		if other, ok := namespaces[t.Namespace]; ok {
			d.add(at(root, "targets", t.Name, "namespace"), "is the namespace of targets.%s already", other)
			continue
		}
		namespaces[t.Namespace] = t.Name
	}
	d.addresses(root, c)
}

// addresses reports listen addresses that stand in each other's way.
func (d *decoder) addresses(root value, c *Config) {
	type listener struct {
		place
		addr string
	}
	all := []listener{{at(root, "api", "listen"), c.API.Listen}}
	for _, e := range c.Endpoints() {
		where := at(root, "targets", e.Target, "listen")
		if c.Target(e.Target).Listen == "" {
			where = at(root, "sql", "listen")
		}
		all = append(all, listener{where, e.Listen})
	}
	if c.PProf != "" {
		all = append(all, listener{at(root, "debug", "pprof"), c.PProf})
	}
	for i, l := range all {
		for _, earlier := range all[:i] {
			if overlap(l.addr, earlier.addr) {
				d.add(l.place, "%s is taken by %s (%s)", l.addr, earlier.path, earlier.addr)
				break
			}
		}
	}
}

// overlap reports whether two listeners cannot both have these addresses.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return everywhere(hostA) || everywhere(hostB) || hostA == hostB
}

// everywhere reports whether a host stands for all addresses of the machine.
func everywhere(host string) bool {
	return host == "" || net.ParseIP(host).IsUnspecified()
}

// Loopback reports whether only this machine can reach a listen address.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// at returns the place of a key, or of the innermost mapping around it that
// is in the file.
func at(v value, keys ...string) place {
	p := place{strings.Join(keys, "."), v.line}
	n := v.node
	for _, key := range keys {
		item := (*yaml.Node)(nil)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				p.line, item = n.Content[i].Line, target(n.Content[i+1])
			}
		}
		if item == nil || item.Kind != yaml.MappingNode {
			return p
		}
		n = item
	}
	return p
}

// Warnings returns what is allowed and yet probably not meant, a sentence each.
func (c *Config) Warnings() []string {
	var w []string
	if !Loopback(c.API.Listen) && c.API.TLS.Mode == TLSOff {
		w = append(w, "api.listen "+c.API.Listen+" is reachable from other machines, over plain HTTP: set api.tls, or put a TLS proxy in front of it")
	}
	for _, e := range c.Endpoints() {
		if c.SQL.TLS.Mode == TLSOff && !Loopback(e.Listen) {
			w = append(w, "the SQL endpoint "+e.Listen+" is reachable from other machines, without TLS: set sql.tls")
		}
	}
	if c.PProf != "" && !Loopback(c.PProf) {
		w = append(w, "debug.pprof "+c.PProf+" is reachable from other machines, without a password")
	}
	if len(c.AccessKeys) == 0 {
		w = append(w, "access_keys is empty: nobody can call the integration API")
	}
	if len(c.SQL.Users) == 0 {
		w = append(w, "sql.users is empty: nobody can log in to the SQL endpoint")
	}
	served := map[string]bool{}
	for _, e := range c.Endpoints() {
		served[e.Target] = true
	}
	for _, t := range c.Targets {
		if !served[t.Name] {
			w = append(w, "targets."+t.Name+" has no SQL endpoint: give it a listen address")
		}
	}
	return w
}
