package rds

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"slices"
	"strings"

	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

// maxRecordsShape and markerShape are those of every action that pages.
var (
	maxRecordsShape = query.Integer(20, 100)
	markerShape     = &query.Shape{Kind: query.KindText, Max: 340}
)

// identifierOfDatabase is the name or the ARN of a cluster or an instance.
var identifierOfDatabase = &query.Shape{Kind: query.KindText, Max: 255}

// databasesAsked says which configured sources an action asks for.
type databasesAsked struct {
	kind       string // "cluster" or "db"
	identifier string // name or ARN, "" for all
	filters    []query.Value
	byName     string // the filter that names databases
	byResource string // the filter that names resource IDs
}

// find returns the sources asked for, by name; found is false if the
// identifier names none.
func (a api) find(asked databasesAsked) (all []control.SourceView, found bool, err error) {
	for _, s := range a.control.Sources() {
		if s.Kind != asked.kind || asked.identifier != "" && !is(s, asked.identifier) {
			continue
		}
		found = true
		ok, err := asked.accepts(s)
		if err != nil {
			return nil, false, err
		}
		if ok {
			all = append(all, s)
		}
	}
	return all, found || asked.identifier == "", nil
}

// is reports whether an identifier names a source. Names are compared without
// regard to case, as identifiers of databases are.
func is(s control.SourceView, identifier string) bool {
	return strings.EqualFold(s.Name, identifier) || s.ARN == identifier
}

// accepts reports whether all filters select a source.
func (d databasesAsked) accepts(s control.SourceView) (bool, error) {
	for _, f := range d.filters {
		var match func(string) bool
		switch name := f.Text("Name"); name {
		case d.byName:
			match = func(v string) bool { return is(s, v) }
		case d.byResource:
			match = func(v string) bool { return v == resourceID(s) }
		case "engine":
			match = func(v string) bool { return v == engineName(s) }
		default:
			return false, unknownFilter(name)
		}
		if !slices.ContainsFunc(f.List("Values"), func(v query.Value) bool { return match(v.String()) }) {
			return false, nil
		}
	}
	return true, nil
}

// checkFilters refuses filters that accepts would not know, whether there is
// a source or not.
func (d databasesAsked) checkFilters() error {
	for _, f := range d.filters {
		if name := f.Text("Name"); name != d.byName && name != d.byResource && name != "engine" {
			return unknownFilter(name)
		}
	}
	return nil
}

func unknownFilter(name string) error {
	return fault.InvalidParameterValue.Errorf("Unrecognized filter name: %.200s", name)
}

// engineName returns the engine as the API calls it.
func engineName(s control.SourceView) string {
	if s.Engine == "PostgreSQL" {
		return "postgres"
	}
	return strings.ToLower(s.Engine)
}

// resourceID returns the immutable identifier that goes with a source's ARN.
func resourceID(s control.SourceView) string {
	sum := sha256.Sum256([]byte(s.ARN))
	prefix := "cluster-"
	if s.Kind == "db" {
		prefix = "db-"
	}
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// pageOf returns the sources after the marker, as many as are asked for, and
// the marker of the next page, "" on the last one.
func pageOf(all []control.SourceView, input query.Value) (page []control.SourceView, next string, err error) {
	after := ""
	if m := input.Text("Marker"); m != "" {
		name, err := base64.RawURLEncoding.DecodeString(m)
		if err != nil || len(name) == 0 {
			return nil, "", fault.InvalidParameterValue.Errorf("The parameter Marker is not one that an earlier reply contained.")
		}
		after = string(name)
	}
	most := 100
	if n := input.Integer("MaxRecords"); n > 0 {
		most = n
	}
	for _, s := range all {
		if after != "" && s.Name <= after {
			continue
		}
		if len(page) == most {
			return page, base64.RawURLEncoding.EncodeToString([]byte(page[most-1].Name)), nil
		}
		page = append(page, s)
	}
	return page, "", nil
}

// put adds a text to the members of a reply unless it is empty.
func put(f query.Fields, name, text string) {
	if text != "" {
		f[name] = query.TextValue(text)
	}
}

// pageOfDatabases returns the page of sources that a request asks for; found
// is false if it names one that does not exist.
func (a api) pageOfDatabases(asked databasesAsked, input query.Value) (page []control.SourceView, next string, found bool, err error) {
	if err := asked.checkFilters(); err != nil {
		return nil, "", false, err
	}
	all, found, err := a.find(asked)
	if err != nil || !found {
		return nil, "", false, err
	}
	page, next, err = pageOf(all, input)
	return page, next, true, err
}

// listOfDatabases is the reply with a page of sources.
func listOfDatabases(name string, page []control.SourceView, next string, value func(control.SourceView) query.Value) query.Value {
	var items []query.Value
	for _, s := range page {
		items = append(items, value(s))
	}
	fields := query.Fields{name: query.ListValue(items)}
	put(fields, "Marker", next)
	return query.StructureValue(fields)
}
