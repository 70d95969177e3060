package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func (d *decoder) sources(v value) (all []Source) {
	d.each(v, func(name string, v value) {
		if err := checkName(name); err != nil {
			d.add(v.place, "%v", err)
		}
		s := Source{Name: name, Kind: SourceCluster, Load: Loading{Connections: DefaultLoadConnections, Chunk: DefaultLoadChunk}, WALAlarm: unset, WALLimit: DefaultWALLimit, OnLostPosition: LostPositionReload, DDLTrigger: DDLTriggerAuto}
		var inURL Secret
		d.mapping(v, fields{
			"kind":             parsed(d, &s.Kind, oneOf(SourceCluster, SourceDB)),
			"url":              func(v value) { s.URL, inURL = d.sourceURL(v) },
			"password":         d.secret(&s.Password),
			"publication":      parsed(d, &s.Publication, parsePublication),
			"ddl_trigger":      parsed(d, &s.DDLTrigger, oneOf(DDLTriggerAuto, DDLTriggerOff)),
			"load":             func(v value) { d.load(v, &s.Load) },
			"wal_alarm":        parsed(d, &s.WALAlarm, parseSizeOrNone),
			"wal_limit":        parsed(d, &s.WALLimit, parseSizeOrNone),
			"on_lost_position": parsed(d, &s.OnLostPosition, oneOf(LostPositionReload, LostPositionStop)),
			"on_cascade":       d.later,
		})
		d.require(v, "url")
		if s.WALAlarm == unset {
			s.WALAlarm = DefaultWALAlarm
			if s.WALLimit > 0 {
				s.WALAlarm = min(s.WALAlarm, s.WALLimit/4)
			}
		}
		if s.Password.IsEmpty() {
			s.Password = inURL
		}
		all = append(all, s)
	})
	return all
}

// unset stands for a size that the file does not give.
const unset = -1

func (d *decoder) load(v value, l *Loading) {
	d.mapping(v, fields{
		"connections":         parsed(d, &l.Connections, parseConnections),
		"chunk":               parsed(d, &l.Chunk, parseChunk),
		"max_rows_per_second": parsed(d, &l.MaxRowsPerSecond, parseRows),
	})
}

// sourceURL parses a connection URL and takes the password out of it. No
// message repeats the URL, since it may hold one.
func (d *decoder) sourceURL(v value) (*url.URL, Secret) {
	text, ok := d.scalar(v)
	if !ok {
		return nil, Secret{}
	}
	u, err := url.Parse(text)
	if err != nil {
		cause := err
		var parse *url.Error
		if errors.As(err, &parse) {
			cause = parse.Err
		}
		if _, isEscape := cause.(url.EscapeError); isEscape {
			cause = errors.New("write a % sign in a name or password as %25")
		} else {
			cause = errors.New("it cannot be parsed; write special characters in a name or password percent-encoded")
		}
		d.add(v.place, "must be a URL like postgres://user@host:5432/database: %v", cause)
		return nil, Secret{}
	}
	switch u.Scheme {
	case "postgres", "postgresql":
	case "mysql", "mariadb":
		d.add(v.place, "%s:// sources are not available in this version; only postgres:// is", u.Scheme)
		return nil, Secret{}
	default:
		d.add(v.place, "must begin with postgres:// or postgresql://")
		return nil, Secret{}
	}
	query := u.Query()
	if u.Host == "" && query.Get("host") == "" {
		d.add(v.place, "names no host")
		return nil, Secret{}
	}
	if u.User.Username() == "" && query.Get("user") == "" {
		d.add(v.place, "names no user")
		return nil, Secret{}
	}
	password, _ := u.User.Password()
	if p := query.Get("password"); p != "" {
		password = p
		query.Del("password")
		u.RawQuery = query.Encode()
	}
	if name := u.User.Username(); name != "" {
		u.User = url.User(name)
	}
	return u, Secret{password}
}

// parsePublication: names of publications are as long as PostgreSQL has them.
func parsePublication(s string) (string, error) {
	if s == "" || len(s) > 63 || strings.ContainsRune(s, 0) {
		return "", errors.New("must be the name of a publication, of 1 to 63 bytes")
	}
	return s, nil
}

// parseChunk: shorter ones would be made of beginnings and ends.
func parseChunk(s string) (time.Duration, error) {
	x, err := parseDuration(s)
	if err == nil && x < 100*time.Millisecond {
		return 0, fmt.Errorf("must be at least 100ms, is %s", s)
	}
	return x, err
}

func parseRows(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("must be a number of rows per second, or 0 for no limit, is %q", s)
	}
	return n, nil
}

// parseConnections: each takes a session at the source, and memory here.
func parseConnections(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 64 {
		return 0, fmt.Errorf("must be a number from 1 to 64, is %q", s)
	}
	return n, nil
}
