package pgwire

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// localColumns returns the columns of what the endpoint answers itself; nil if
// there are no rows.
func (c *conn) localColumns(a redshift.Action) ([]penstock.ResultColumn, error) {
	if a.Command != redshift.Show {
		return nil, nil
	}
	names := []string{"name", "setting", "description"}
	if a.Name != "" {
		v, ok := c.settings.values[a.Name]
		if !ok {
			return nil, unknownSetting(a.Name)
		}
		names = []string{v.name}
	}
	var columns []penstock.ResultColumn
	for _, name := range names {
		columns = append(columns, penstock.ResultColumn{Name: name, Type: penstock.Type{Kind: penstock.TypeText}})
	}
	return columns, nil
}

func unknownSetting(name string) error {
	return &penstock.SQLError{State: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
}

// local does what the endpoint does itself and returns the tag to answer with,
// and rows if localColumns has columns.
func (c *conn) local(ctx context.Context, a redshift.Action) (tag string, rows *penstock.Rows, err error) {
	switch a.Command {
	case redshift.Begin:
		err = c.begin(ctx, a)
	case redshift.Commit:
		tag, err := c.commit(ctx)
		return tag, nil, err
	case redshift.Rollback:
		err = c.rollback(ctx)
	case redshift.Set:
		var notice string
		if notice, err = c.settings.set(a.Name, a.Value, a.Local); notice != "" {
			c.notice("WARNING", "01000", notice)
		}
		c.reportSettings()
	case redshift.Reset:
		c.settings.reset(a.Name)
		c.reportSettings()
	case redshift.Show:
		rows, err = c.show(a.Name)
	case redshift.Discard:
		err = c.discard(a.Name)
	case redshift.Deallocate:
		err = c.deallocate(a.Name)
	case redshift.Manage:
		err = c.manage(ctx, a)
	}
	return a.Tag, rows, err
}

func (c *conn) reportSettings() {
	for _, p := range c.settings.reported() {
		c.out.send(&pgproto3.ParameterStatus{Name: p.name, Value: p.value})
	}
}

func (c *conn) show(name string) (*penstock.Rows, error) {
	text := penstock.Type{Kind: penstock.TypeText}
	rows := &penstock.Rows{}
	if name != "" {
		v, ok := c.settings.values[name]
		if !ok {
			return nil, unknownSetting(name) // reset since it was prepared
		}
		rows.Vectors = []penstock.Vector{penstock.NewVector(text)}
		rows.Vectors[0].AppendString(v.value)
		return rows, nil
	}
	rows.Vectors = []penstock.Vector{penstock.NewVector(text), penstock.NewVector(text), penstock.NewVector(text)}
	for _, key := range slices.Sorted(maps.Keys(c.settings.values)) {
		rows.Vectors[0].AppendString(c.settings.values[key].name)
		rows.Vectors[1].AppendString(c.settings.values[key].value)
		rows.Vectors[2].AppendString("")
	}
	return rows, nil
}

// discard gives the session, or a part of it, its first state again.
// Temporary tables stay: they are the engine's, and end with the session.
func (c *conn) discard(what string) error {
	if what != "all" {
		return nil
	}
	if c.tx.open && !c.tx.implicit {
		return &penstock.SQLError{State: "25001", Message: "DISCARD ALL cannot run inside a transaction block"}
	}
	c.settings.reset("")
	c.reportSettings()
	return c.deallocate("")
}

// deallocate forgets a prepared statement, or all of them. The one that is
// running stays as long as it runs.
func (c *conn) deallocate(name string) error {
	if name != "" {
		if c.statements[name] == nil {
			return &penstock.SQLError{State: "26000", Message: fmt.Sprintf("prepared statement %q does not exist", name)}
		}
		c.dropStatement(name)
		return nil
	}
	for name := range c.statements {
		c.dropStatement(name)
	}
	return nil
}
