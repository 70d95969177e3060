package pgwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
)

const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSS    = 80877104

	maxStartup  = 10_000 // bytes, PostgreSQL's own limit
	newestMinor = 2      // of protocol 3
)

// startupPacket is what a client says before all messages.
type startupPacket struct {
	code uint32 // codeCancel, codeSSL, codeGSS, or a protocol version

	parameters map[string]string // of a startup packet
	options    []string          // protocol options in it, none of which we know

	process uint32 // of a cancel request
	secret  []byte
}

// readStartup reads one packet and not a byte beyond it, since what follows an
// SSLRequest must come through TLS.
func readStartup(r io.Reader) (startupPacket, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return startupPacket{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > maxStartup {
		return startupPacket{}, fmt.Errorf("invalid length of startup packet: %d", n)
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return startupPacket{}, err
	}
	return parseStartup(body)
}

func parseStartup(body []byte) (startupPacket, error) {
	p := startupPacket{code: binary.BigEndian.Uint32(body)}
	rest := body[4:]
	switch p.code {
	case codeSSL, codeGSS:
		return p, nil
	case codeCancel:
		if len(rest) < 8 || len(rest) > 4+256 {
			return p, errors.New("invalid length of cancel request")
		}
		p.process, p.secret = binary.BigEndian.Uint32(rest), rest[4:]
		return p, nil
	}
	if p.code>>16 != 3 {
		return p, nil // refused by the caller, who can still answer
	}
	p.parameters = map[string]string{}
	for {
		key, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return p, errors.New("invalid startup packet layout: expected terminator as last byte")
		}
		if len(key) == 0 {
			if len(after) != 0 {
				return p, errors.New("invalid startup packet layout: bytes after the terminator")
			}
			return p, nil
		}
		value, after, ok := bytes.Cut(after, []byte{0})
		if !ok {
			return p, errors.New("invalid startup packet layout: a name without a value")
		}
		if strings.HasPrefix(string(key), "_pq_.") {
			p.options = append(p.options, string(key))
		} else {
			p.parameters[string(key)] = string(value)
		}
		rest = after
	}
}

// errDone ends a connection that was not meant to become a session, or that
// has been told why it does not.
var errDone = errors.New("connection is done")

// startup takes a connection to the point where the client has said who it is
// and which database it wants, over TLS if it asked for that.
func (c *conn) startup(ctx context.Context) error {
	for encrypted := false; ; {
		p, err := readStartup(c.net)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.log.Debug("startup packet refused", "error", err)
			}
			return errDone
		}
		switch p.code {
		case codeSSL:
			if encrypted {
				return errDone
			}
			if c.server.cfg.TLS == nil {
				if _, err := c.net.Write([]byte{'N'}); err != nil {
					return errDone
				}
				continue
			}
			if err := c.encrypt(ctx); err != nil {
				return err
			}
			encrypted = true
			continue
		case codeGSS:
			if _, err := c.net.Write([]byte{'N'}); err != nil {
				return errDone
			}
			continue
		case codeCancel:
			c.server.registry.cancel(p.process, p.secret)
			return errDone
		}
		return c.greet(p)
	}
}

func (c *conn) encrypt(ctx context.Context) error {
	if _, err := c.net.Write([]byte{'S'}); err != nil {
		return errDone
	}
	t := tls.Server(c.net, c.server.cfg.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		c.log.Debug("TLS handshake failed", "error", err)
		return errDone
	}
	c.setNet(t)
	c.tls = true
	return nil
}

// greet checks a startup packet and takes over what it says.
func (c *conn) greet(p startupPacket) error {
	if p.code>>16 != 3 {
		return c.refuse(fatal("0A000", fmt.Sprintf(
			"unsupported frontend protocol %d.%d: server supports 3.0 to 3.%d", p.code>>16, p.code&0xffff, newestMinor)))
	}
	c.minor = p.code & 0xffff
	if c.minor > newestMinor || len(p.options) > 0 {
		c.minor = min(c.minor, newestMinor)
		slices.Sort(p.options)
		c.out.send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 3<<16 | c.minor, UnrecognizedOptions: p.options})
	}
	c.user = p.parameters["user"]
	if c.user == "" {
		return c.refuse(fatal("28000", "no PostgreSQL user name specified in startup packet"))
	}
	if c.database = p.parameters["database"]; c.database == "" {
		c.database = c.user
	}
	if r := p.parameters["replication"]; r != "" && r != "false" && r != "off" && r != "no" && r != "0" {
		return c.refuse(fatal("0A000", "replication connections are not supported"))
	}
	_, c.redshiftDriver = p.parameters["driver_version"]
	c.startupParameters = p.parameters
	return nil
}

// open makes a session of a connection whose client is who it says.
func (c *conn) open(ctx context.Context) error {
	if !c.server.registry.enter(c, c.database) {
		return c.refuse(fatal("55000", fmt.Sprintf("database %q is being dropped", c.database)))
	}
	session, err := c.server.cfg.Warehouse.Connect(ctx, c.database)
	if err != nil {
		if penstock.KindOf(err) == penstock.KindNotFound {
			return c.refuse(fatal("3D000", fmt.Sprintf("database %q does not exist", c.database)))
		}
		return c.refuse(asSQLError(err))
	}
	c.session = session
	c.out.send(&pgproto3.AuthenticationOk{})
	c.settings = newSettings(c.user, c.superuser, c.startupParameters)
	for _, p := range c.settings.reported() {
		c.out.send(&pgproto3.ParameterStatus{Name: p.name, Value: p.value})
	}
	c.out.send(&pgproto3.BackendKeyData{ProcessID: c.process, SecretKey: c.secret})
	c.ready()
	c.out.flush()
	return nil
}

// refuse tells the client why there will be no session.
func (c *conn) refuse(e *penstock.SQLError) error {
	c.sendError("FATAL", e)
	c.out.flush()
	return errDone
}

func fatal(state, message string) *penstock.SQLError {
	return &penstock.SQLError{State: state, Message: message}
}

// setNet changes what the connection reads from and writes to.
func (c *conn) setNet(n net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.net = n
	c.out.w = n
}
