package config

import (
	"os"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

func (d *decoder) config(v value) *Config {
	c := Default(d.dir)
	d.mapping(v, fields{
		"account":        parsed(d, &c.Account, parseAccount),
		"region":         parsed(d, &c.Region, parseRegion),
		"data_dir":       parsed(d, &c.DataDir, d.path),
		"memory":         parsed(d, &c.Memory, parseMemory),
		"log":            func(v value) { d.log(v, &c.Log) },
		"api":            func(v value) { d.api(v, &c.API) },
		"sql":            func(v value) { d.sql(v, &c.SQL) },
		"access_keys":    func(v value) { c.AccessKeys = d.accessKeys(v) },
		"kms_keys":       func(v value) { c.KMSKeys = d.kmsKeys(v) },
		"quotas":         func(v value) { d.quotas(v, &c.Quotas) },
		"throttle":       func(v value) { d.throttle(v, &c.Throttle) },
		"sources":        func(v value) { c.Sources = d.sources(v) },
		"targets":        func(v value) { c.Targets = d.targets(v) },
		"creating_limit": parsed(d, &c.CreatingLimit, parsePositiveDuration),
		"delete_grace":   parsed(d, &c.DeleteGrace, parseDuration),
		"debug":          func(v value) { d.mapping(v, fields{"pprof": parsed(d, &c.PProf, parseListen)}) },
	})
	for i := range c.Targets {
		if t := &c.Targets[i]; t.Namespace == uuid.Nil {
			t.Namespace = c.deriveNamespace(t.Name)
		}
	}
	return c
}

func (d *decoder) log(v value, l *Log) {
	d.mapping(v, fields{
		"level":  parsed(d, &l.Level, parseLevel),
		"format": parsed(d, &l.Format, oneOf(LogText, LogJSON)),
	})
}

func (d *decoder) api(v value, a *API) {
	d.mapping(v, fields{
		"listen": parsed(d, &a.Listen, parseListen),
		"tls":    func(v value) { d.tlsFiles(v, &a.TLS) },
	})
}

func (d *decoder) sql(v value, s *SQL) {
	d.mapping(v, fields{
		"listen": parsed(d, &s.Listen, parseListen),
		"tls":    func(v value) { d.tls(v, &s.TLS) },
		"users":  func(v value) { s.Users = d.users(v) },
	})
}

func (d *decoder) tls(v value, t *TLS) {
	if v.node.Kind == yaml.ScalarNode {
		// YAML 1.1 calls off a boolean; what is written counts.
		if mode, err := oneOf(TLSAuto, TLSOff)(v.node.Value); err == nil {
			t.Mode = mode
			return
		}
	}
	if v.node.Kind != yaml.MappingNode {
		d.add(v.place, "must be auto, off or {cert: PATH, key: PATH}")
		return
	}
	d.tlsFiles(v, t)
}

// tlsFiles reads {cert: PATH, key: PATH}.
func (d *decoder) tlsFiles(v value, t *TLS) {
	if v.node.Kind != yaml.MappingNode {
		d.add(v.place, "must be {cert: PATH, key: PATH}")
		return
	}
	t.Mode = TLSFiles
	d.mapping(v, fields{"cert": parsed(d, &t.Cert, d.readable), "key": parsed(d, &t.Key, d.readable)})
	d.require(v, "cert", "key")
}

// readable parses the path of a file that has to be there.
func (d *decoder) readable(s string) (string, error) {
	path, err := d.path(s)
	if err != nil || d.skipSecrets {
		return path, err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

// require reports those keys that the mapping v lacks.
func (d *decoder) require(v value, keys ...string) {
	if v.node.Kind != yaml.MappingNode && !v.null() {
		return
	}
	has := map[string]bool{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		item := value{node: target(v.node.Content[i+1])}
		has[v.node.Content[i].Value] = !item.null()
	}
	for _, k := range keys {
		if !has[k] {
			d.add(place{v.path + "." + k, v.line}, "is missing")
		}
	}
}

func (d *decoder) users(v value) (all []User) {
	seen := map[string]bool{}
	d.items(v, func(v value) {
		var u User
		d.mapping(v, fields{
			"name":      parsed(d, &u.Name, parseUserName),
			"password":  d.secret(&u.Password),
			"superuser": parsed(d, &u.Superuser, parseBool),
		})
		d.require(v, "name", "password")
		if u.Name != "" && seen[u.Name] {
			d.add(v.place, "the user %s is there twice", u.Name)
		}
		seen[u.Name] = true
		all = append(all, u)
	})
	return all
}

func (d *decoder) accessKeys(v value) (all []AccessKey) {
	seen := map[string]bool{}
	d.items(v, func(v value) {
		var k AccessKey
		d.mapping(v, fields{
			"id":     parsed(d, &k.ID, parseAccessKeyID),
			"secret": d.secret(&k.Secret),
			"policy": func(v value) { k.Policy = d.policy(v) },
		})
		d.require(v, "id", "secret")
		if k.ID != "" && seen[k.ID] {
			d.add(v.place, "the access key %s is there twice", k.ID)
		}
		seen[k.ID] = true
		all = append(all, k)
	})
	return all
}

func (d *decoder) targets(v value) (all []Target) {
	d.each(v, func(name string, v value) {
		if err := checkName(name); err != nil {
			d.add(v.place, "%v", err)
		}
		t := Target{Name: name, Engine: EngineDuckDB, FlushMinInterval: DefaultFlushMinInterval, Authorization: AuthorizationOff, DestinationDatabase: DatabaseAuto, OnBadValue: BadValueNullify}
		d.mapping(v, fields{
			"engine":               parsed(d, &t.Engine, parseEngine),
			"namespace":            parsed(d, &t.Namespace, parseUUID),
			"listen":               parsed(d, &t.Listen, parseListen),
			"destination_database": parsed(d, &t.DestinationDatabase, oneOf(DatabaseAuto, DatabaseManual)),
			"authorization":        parsed(d, &t.Authorization, oneOf(AuthorizationOff, AuthorizationRequired)),
			"on_bad_value":         parsed(d, &t.OnBadValue, oneOf(BadValueNullify, BadValueFail)),
			"flush": func(v value) {
				d.mapping(v, fields{"min_interval": parsed(d, &t.FlushMinInterval, parseDuration)})
			},
		})
		all = append(all, t)
	})
	return all
}
