package pgwire

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// What one session may hold.
const (
	maxStatements = 10_000
	maxPortals    = 1_000
)

func (c *conn) parse(ctx context.Context, m *pgproto3.Parse) error {
	if m.Name == "" {
		c.dropStatement("")
	} else if c.statements[m.Name] != nil {
		return &penstock.SQLError{State: "42P05", Message: fmt.Sprintf("prepared statement %q already exists", m.Name)}
	}
	if len(c.statements) >= maxStatements {
		return &penstock.SQLError{State: "53400", Message: "too many prepared statements in this session"}
	}
	if !utf8.ValidString(m.Query) {
		return errNotUTF8
	}
	var source redshift.Statement
	switch all := redshift.Split(m.Query); len(all) {
	case 0:
	case 1:
		source = all[0]
	default:
		return &penstock.SQLError{State: "42601", Message: "cannot insert multiple commands into a prepared statement"}
	}
	st, err := c.prepare(ctx, source, m.ParameterOIDs)
	if err != nil {
		return err
	}
	st.users++
	c.statements[m.Name] = st
	c.out.send(&pgproto3.ParseComplete{})
	return nil
}

func (c *conn) statement(name string) (*statement, error) {
	if st := c.statements[name]; st != nil {
		return st, nil
	}
	if name == "" {
		return nil, &penstock.SQLError{State: "26000", Message: "unnamed prepared statement does not exist"}
	}
	return nil, &penstock.SQLError{State: "26000", Message: fmt.Sprintf("prepared statement %q does not exist", name)}
}

func (c *conn) portal(name string) (*portal, error) {
	if p := c.portals[name]; p != nil {
		return p, nil
	}
	return nil, &penstock.SQLError{State: "34000", Message: fmt.Sprintf("portal %q does not exist", name)}
}

func (c *conn) bind(m *pgproto3.Bind) error {
	st, err := c.statement(m.PreparedStatement)
	if err != nil {
		return err
	}
	if err := c.allowed(st.action); err != nil && len(st.source.Tokens) > 0 {
		return err
	}
	if m.DestinationPortal == "" {
		c.dropPortal("")
	} else if c.portals[m.DestinationPortal] != nil {
		return &penstock.SQLError{State: "42P03", Message: fmt.Sprintf("cursor %q already exists", m.DestinationPortal)}
	}
	if len(c.portals) >= maxPortals {
		return &penstock.SQLError{State: "53400", Message: "too many portals in this session"}
	}
	p := &portal{st: st}
	if len(m.Parameters) != len(st.params) {
		return &penstock.SQLError{State: "08P01", Message: fmt.Sprintf(
			"bind message supplies %d parameters, but prepared statement %q requires %d", len(m.Parameters), m.PreparedStatement, len(st.params))}
	}
	formats, ok := spread(m.ParameterFormatCodes, len(m.Parameters))
	if !ok {
		return &penstock.SQLError{State: "08P01", Message: fmt.Sprintf(
			"bind message has %d parameter formats but %d parameters", len(m.ParameterFormatCodes), len(m.Parameters))}
	}
	for i, value := range m.Parameters {
		arg, err := parameterText(st.params[i], formats[i], value, i+1)
		if err != nil {
			return err
		}
		p.args = append(p.args, arg)
	}
	if p.formats, ok = spread(m.ResultFormatCodes, len(st.columns)); !ok {
		return &penstock.SQLError{State: "08P01", Message: fmt.Sprintf(
			"bind message has %d result formats but query has %d columns", len(m.ResultFormatCodes), len(st.columns))}
	}
	for _, f := range p.formats {
		if f != 0 && f != 1 {
			return &penstock.SQLError{State: "22023", Message: fmt.Sprintf("unsupported format code: %d", f)}
		}
	}
	st.users++
	c.portals[m.DestinationPortal] = p
	c.out.send(&pgproto3.BindComplete{})
	return nil
}

// spread gives each of n things its format code: none is text for all, one is
// for all.
func spread(codes []int16, n int) (formats []int16, ok bool) {
	formats = make([]int16, n)
	switch len(codes) {
	case 0:
	case 1:
		for i := range formats {
			formats[i] = codes[0]
		}
	default:
		return formats, copy(formats, codes) == len(codes) && len(codes) == n
	}
	return formats, true
}

func (c *conn) describe(m *pgproto3.Describe) error {
	var st *statement
	var formats []int16
	if m.ObjectType == 'S' {
		var err error
		if st, err = c.statement(m.Name); err != nil {
			return err
		}
		formats = make([]int16, len(st.columns))
	} else {
		p, err := c.portal(m.Name)
		if err != nil {
			return err
		}
		st, formats = p.st, p.formats
	}
	if c.tx.failed && st.columns != nil {
		return errAborted
	}
	if m.ObjectType == 'S' {
		c.out.send(&pgproto3.ParameterDescription{ParameterOIDs: st.params})
	}
	if st.columns == nil {
		c.out.send(&pgproto3.NoData{})
		return nil
	}
	c.out.send(rowDescription(st, formats))
	return nil
}

func (c *conn) execute(ctx context.Context, m *pgproto3.Execute) error {
	p, err := c.portal(m.Portal)
	if err != nil {
		return err
	}
	if len(p.st.source.Tokens) > 0 {
		if err := c.allowed(p.st.action); err != nil {
			return err
		}
	}
	// What changes something is committed by the Sync, together with what
	// else comes before that.
	if len(p.st.source.Tokens) > 0 && p.st.action.Command == redshift.Engine && p.st.kind != penstock.StatementSelect {
		if err := c.beginImplicit(ctx, false); err != nil {
			return err
		}
	}
	_, err = c.run(ctx, p, max(0, int(int32(m.MaxRows))))
	return err
}

func (c *conn) close(m *pgproto3.Close) error {
	if m.ObjectType == 'S' {
		c.dropStatement(m.Name)
	} else {
		c.dropPortal(m.Name)
	}
	c.out.send(&pgproto3.CloseComplete{})
	return nil
}

// dropStatement forgets a prepared statement; portals made from it live on.
func (c *conn) dropStatement(name string) {
	if st := c.statements[name]; st != nil {
		delete(c.statements, name)
		st.release(c)
	}
}

// sync ends what belongs together, and the skipping after an error.
func (c *conn) sync(ctx context.Context) {
	c.skip = false
	if c.tx.implicit {
		if err := c.commitOpen(ctx); err != nil {
			c.fail(ctx, err)
		}
	}
	if !c.tx.open {
		c.closePortals()
	}
	c.ready()
	c.out.flush()
}
