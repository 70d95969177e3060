package pgsource

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// connectTimeout bounds how long establishing a connection may take.
const connectTimeout = 10 * time.Second

// lockTimeout bounds how long a statement of ours waits for a lock, because
// others queue behind it (promise 4).
const lockTimeout = "2s"

// impatiently runs f with statements that hardly wait for locks. No transaction
// is open.
func impatiently(ctx context.Context, conn *pgx.Conn, f func() error) error {
	if _, err := conn.Exec(ctx, "SET lock_timeout = '100ms'"); err != nil {
		return err
	}
	err := f()
	if _, again := conn.Exec(ctx, "SET lock_timeout = '"+lockTimeout+"'"); err == nil {
		err = again
	}
	return err
}

// sessionSettings fix how values are printed, whatever the server's and the
// role's defaults are. decode_*.go rely on them.
var sessionSettings = map[string]string{
	"client_encoding":                     "UTF8",
	"datestyle":                           "ISO",
	"timezone":                            "UTC",
	"intervalstyle":                       "postgres",
	"bytea_output":                        "hex",
	"extra_float_digits":                  "1",
	"lc_monetary":                         "C",
	"xmlbinary":                           "base64",
	"search_path":                         "pg_catalog",
	"statement_timeout":                   "0",
	"lock_timeout":                        lockTimeout,
	"idle_session_timeout":                "0",
	"idle_in_transaction_session_timeout": "0",
	"transaction_timeout":                 "0",
	"default_transaction_read_only":       "off",
	"default_transaction_isolation":       "read committed",
	// A load that row security leaves rows out of must fail, not succeed.
	"row_security": "off",
	// Our questions to the catalog look expensive to the planner, and are not: to
	// compile one took the server longer than to answer it.
	"jit": "off",
}

// settingSince names the server version that introduced a setting.
var settingSince = map[string]int{"idle_session_timeout": 14, "transaction_timeout": 17}

// config returns the connection configuration for a database of the server.
func (s *Source) config(database string) *pgx.ConnConfig {
	c := s.base.Copy()
	if database != "" {
		c.Database = database
	}
	return c
}

// bulkBuffer is how much a connection that rows are loaded by receives at once. The
// driver's own buffer is as large as the server's, 8 KB, and TLS has records of that
// size, so that there would be a system call for some dozens of rows.
const bulkBuffer = 256 << 10

// bulkConn is a connection, below TLS, that receives much at once.
type bulkConn struct {
	net.Conn
	received *bufio.Reader
}

func (c bulkConn) Read(b []byte) (int, error) { return c.received.Read(b) }

// connectBulk opens a connection as connect does, for many rows to be received.
func (s *Source) connectBulk(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg := s.config(database)
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return bulkConn{conn, bufio.NewReaderSize(conn, bulkBuffer)}, nil
	}
	return s.connectAs(ctx, cfg, database)
}

// connect opens an SQL connection with our session settings.
func (s *Source) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return s.connectAs(ctx, s.config(database), database)
}

func (s *Source) connectAs(ctx context.Context, cfg *pgx.ConnConfig, database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if sqlState(err) == "3D000" {
		return nil, &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemDatabaseMissing,
			Err:  missingDatabase{err, fmt.Sprintf("database %s does not exist on source %s", cfg.Database, s.name)},
			Mend: "CREATE DATABASE " + quote(cfg.Database) + ", or take it out of the data filter"}
	}
	if err != nil {
		return nil, classify(err, "connect to "+s.at(database))
	}
	if err := applySettings(ctx, conn.PgConn()); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, classify(err, "set up the session on "+s.at(database))
	}
	return conn, nil
}

// missingDatabase says it in a sentence; the server's error is its cause.
type missingDatabase struct {
	cause    error
	sentence string
}

func (e missingDatabase) Error() string { return e.sentence }
func (e missingDatabase) Unwrap() error { return e.cause }

func applySettings(ctx context.Context, conn *pgconn.PgConn) error {
	major := serverMajor(conn)
	var b strings.Builder
	for name, value := range sessionSettings {
		if name == "client_encoding" && conn.ParameterStatus("server_encoding") == "SQL_ASCII" {
			// Such a database holds any bytes. The server would not send those
			// that are not UTF-8, and break off the stream: which of them are
			// text is for the target to say (promise 5).
			value = "SQL_ASCII"
		}
		if major >= settingSince[name] {
			fmt.Fprintf(&b, "SET %s = '%s';", name, value)
		}
	}
	return conn.Exec(ctx, b.String()).Close()
}

// serverMajor returns the server's major version, 15 for "15.18 (Debian…)".
func serverMajor(conn *pgconn.PgConn) int {
	n := 0
	for _, c := range conn.ParameterStatus("server_version") {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// serverMinor returns the server's minor version, 18 for "15.18 (Debian…)".
func serverMinor(conn *pgconn.PgConn) int {
	_, rest, _ := strings.Cut(conn.ParameterStatus("server_version"), ".")
	n := 0
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// at names a database of this source in messages.
func (s *Source) at(database string) string {
	if database == "" || database == s.base.Database {
		return fmt.Sprintf("source %s (%s:%d/%s)", s.name, s.base.Host, s.base.Port, s.base.Database)
	}
	return fmt.Sprintf("source %s (%s:%d/%s)", s.name, s.base.Host, s.base.Port, database)
}

// classify turns a driver's error into one with a Kind, by SQLSTATE (see
// "PostgreSQL Error Codes") or by what broke.
func classify(err error, op string) error {
	if err == nil {
		return nil
	}
	if e := (*penstock.Error)(nil); errors.As(err, &e) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	out := &penstock.Error{Kind: penstock.KindInternal, Op: op, Err: inPlainWords(err)}
	var pg *pgconn.PgError
	var parse *pgconn.ParseConfigError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &pg):
		out.Kind, out.Mend = classifyState(pg)
		out.Code = stateProblems[pg.Code]
	case errors.As(err, &parse):
		out.Kind = penstock.KindInvalid
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err),
		errors.Is(err, net.ErrClosed), strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "unexpected EOF"), strings.HasSuffix(err.Error(), "EOF"):
		out.Kind = penstock.KindUnreachable
		out.Mend = "check that the server runs, and host, port and firewall in the source's url"
	}
	return out
}

// inPlainWords returns the cause of a driver's error in plain words. The driver lists
// what it tried, address by address, with and without TLS.
func inPlainWords(err error) error {
	var pg *pgconn.PgError
	var dns *net.DNSError
	var network *net.OpError
	var connect *pgconn.ConnectError
	var system syscall.Errno
	switch {
	case errors.As(err, &pg):
		return pg
	case errors.As(err, &dns):
		return fmt.Errorf("the host name %s cannot be resolved", dns.Name)
	case errors.As(err, &system):
		return system
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return errors.New("there was no answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return errors.New("the connection was closed")
	case errors.As(err, &network):
		return network.Err
	case errors.As(err, &connect):
		return innermost(err)
	}
	return err
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
			inner = many.Unwrap()[len(many.Unwrap())-1]
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// stateProblems are the problems that a SQLSTATE names by itself.
var stateProblems = map[string]penstock.ProblemCode{
	"28P01": penstock.ProblemSourceRights,
	"28000": penstock.ProblemSourceRights,
	"42501": penstock.ProblemSourceRights,
	"3D000": penstock.ProblemDatabaseMissing,
}

// declined reports whether the server has said no to a statement, for a right or
// a reason of its own: what is no more than useful is then done without. A
// connection that broke, or a server that stops, is not that.
func declined(err error) bool {
	return sqlState(err) != "" && penstock.KindOf(classify(err, "")) != penstock.KindUnreachable
}

func classifyState(pg *pgconn.PgError) (penstock.Kind, string) {
	switch pg.Code {
	case "28P01", "28000":
		return penstock.KindSetting, "check user and password in the source's url, and pg_hba.conf"
	case "42501":
		if strings.Contains(pg.Message, "row-level security") {
			return penstock.KindSetting, "ALTER ROLE … BYPASSRLS, for the role in the source's url"
		}
		return penstock.KindSetting, "grant the right that is missing; penstock check prints the statements"
	case "3D000":
		return penstock.KindSetting, "create the database, or take it out of the data filter"
	case "53300":
		return penstock.KindUnreachable, "raise max_connections or max_wal_senders"
	case "53400":
		return penstock.KindSetting, "raise max_replication_slots, or drop slots that are not used"
	case "53100":
		return penstock.KindUnreachable, "free space on the source's disk"
	case "55P03", "55006", "40001", "40P01", "57014":
		return penstock.KindUnreachable, ""
	}
	switch pg.Code[:2] {
	case "08", "57", "53":
		return penstock.KindUnreachable, ""
	}
	return penstock.KindInternal, ""
}

// lockNotAvailable is the SQLSTATE of a lock that was not had in time. What
// wanted it is tried again with the next look at the tables.
const lockNotAvailable = "55P03"

// sqlState returns the SQLSTATE of err, or "".
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
