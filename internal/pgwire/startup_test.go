package pgwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

func TestParameterStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := b.connect(t)
	for name, want := range map[string]string{
		"server_version": "8.0.2", "server_encoding": "UTF8", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
		"integer_datetimes": "on", "standard_conforming_strings": "on", "TimeZone": "UTC", "is_superuser": "on",
		"session_authorization": "admin", "padb_version": "1.0.77467", "server_protocol_version": "",
	} {
		if got := conn.PgConn().ParameterStatus(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ user, password, database, state string }{
		{"admin", "wrong", "dev", "28P01"},
		{"nobody", "s3cret", "dev", "28P01"},
		{"nobody", "s3cret", "missing", "28P01"},
		{"admin", "s3cret", "missing", "3D000"},
	} {
		conn, err := pgx.Connect(t.Context(), b.url(c.user, c.password, c.database))
		if err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("%v: let in", c)
			continue
		}
		if state := stateOf(err); state != c.state {
			t.Errorf("%v: %v, want %s", c, err, c.state)
		}
	}
}

func stateOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestRedshiftDriverLogin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.login(t) // the right password

	w := b.dial(t)
	w.startup(196608, "user", "admin", "database", "dev", "driver_version", "x")
	salt := w.next().(*pgproto3.AuthenticationMD5Password).Salt
	w.send(&pgproto3.PasswordMessage{Password: md5Answer("admin", "wrong", salt)})
	w.expectEnd(`FATAL 28P01 password authentication failed for user "admin"`)

	w = b.dial(t)
	w.startup(196608, "user", "nobody", "database", "dev", "driver_version", "x")
	salt = w.next().(*pgproto3.AuthenticationMD5Password).Salt
	w.send(&pgproto3.PasswordMessage{Password: md5Answer("", "", salt)})
	w.expectEnd(`FATAL 28P01 password authentication failed for user "nobody"`)
}

func TestProtocolNegotiation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.dial(t)
	w.startup(3<<16|9, "user", "admin", "database", "dev", "_pq_.compression", "zstd", "_pq_.a", "1")
	m, ok := w.next().(*pgproto3.NegotiateProtocolVersion)
	if !ok || m.NewestMinorProtocol != 196610 || !slices.Equal(m.UnrecognizedOptions, []string{"_pq_.a", "_pq_.compression"}) {
		t.Errorf("negotiation %+v", m)
	}
	if _, ok := w.next().(*pgproto3.AuthenticationSASL); !ok {
		t.Error("no login after the negotiation")
	}

	w = b.dial(t)
	w.startup(2<<16, "user", "admin")
	w.expectEnd("FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.2")

	w = b.dial(t)
	w.startup(196608, "database", "dev")
	w.expectEnd("FATAL 28000 no PostgreSQL user name specified in startup packet")

	w = b.dial(t)
	w.startup(196608, "user", "admin", "replication", "database")
	w.expectEnd("FATAL 0A000 replication connections are not supported")
}

// TestEncryptionRequests asks for what there is none of.
func TestEncryptionRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.dial(t)
	for _, code := range []uint32{codeGSS, codeSSL, codeSSL} {
		w.packet(binary.BigEndian.AppendUint32(nil, code))
		var answer [1]byte
		if _, err := w.Read(answer[:]); err != nil || answer[0] != 'N' {
			t.Fatalf("answer %q, %v", answer, err)
		}
	}
	w.startup(196608, "user", "admin", "database", "dev")
	if _, ok := w.next().(*pgproto3.AuthenticationSASL); !ok {
		t.Error("no login after refused encryption")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, err := SelfSigned(dir, "warehouse.example", "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(c *Config) { c.TLS = cfg })
	root := filepath.Join(dir, certificateFile)
	conn, err := pgx.Connect(t.Context(), strings.Replace(b.url("admin", "s3cret", "dev"), "sslmode=disable", "sslmode=verify-full&sslrootcert="+root, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, ok := conn.PgConn().Conn().(*tls.Conn); !ok {
		t.Error("no TLS")
	}

	// A Redshift driver logs in with the password itself.
	w := b.dial(t)
	w.packet(binary.BigEndian.AppendUint32(nil, codeSSL))
	var answer [1]byte
	if _, err := w.Read(answer[:]); err != nil || answer[0] != 'S' {
		t.Fatalf("answer %q, %v", answer, err)
	}
	secure := tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true})
	w.Conn, w.f = secure, pgproto3.NewFrontend(secure, secure)
	w.startup(196608, "user", "admin", "database", "dev", "driver_version", "x")
	if m, ok := w.next().(*pgproto3.AuthenticationCleartextPassword); !ok {
		t.Fatalf("got %T", m)
	}
	w.send(&pgproto3.PasswordMessage{Password: "s3cret"})
	w.untilReady()
}

func TestSelfSignedIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := SelfSigned(dir, "warehouse.example", "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	second, err := SelfSigned(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.Certificates[0].Certificate[0], second.Certificates[0].Certificate[0]) {
		t.Error("made anew")
	}
	leaf, err := x509.ParseCertificate(second.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "warehouse.example", "192.0.2.7"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(dir); err == nil || !strings.Contains(err.Error(), certificateFile) {
		t.Errorf("a broken key gives %v", err)
	}
}

// TestGarbage sends what is no protocol; the server lives on.
func TestGarbage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, garbage := range map[string]string{
		"http":             "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"tls at once":      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"zero length":      "\x00\x00\x00\x00",
		"short":            "\x00\x00\x00\x07\x00\x03\x00",
		"huge":             "\x7f\xff\xff\xff\x00\x03\x00\x00",
		"negative":         "\xff\xff\xff\xff\x00\x03\x00\x00",
		"no terminator":    "\x00\x00\x00\x0c\x00\x03\x00\x00user",
		"name, no value":   "\x00\x00\x00\x0d\x00\x03\x00\x00user\x00",
		"after terminator": "\x00\x00\x00\x0a\x00\x03\x00\x00\x00x",
		"short cancel":     "\x00\x00\x00\x0c\x04\xd2\x16\x2e\x00\x00\x00\x01",
		"wrong cancel":     "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x00",
	} {
		w := b.dial(t)
		if _, err := w.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		w.f = pgproto3.NewFrontend(w, w)
		w.expectEnd()
		_ = name
	}
	for _, sasl := range []string{"", ",", "n,,", "y,,n=,r=", "p=tls-server-end-point,,n=,r=x", "n,,n=,r=x"} {
		w := b.dial(t)
		w.startup(196608, "user", "admin", "database", "dev")
		w.next()
		w.send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(sasl)})
		if m, ok := w.next().(*pgproto3.AuthenticationSASLContinue); ok {
			w.send(&pgproto3.SASLResponse{Data: []byte("c=biws," + strings.Split(string(m.Data), ",")[0] + ",p=" + strings.Repeat("AAAA", 100))})
			w.expectEnd("FATAL 08P01 malformed SCRAM message")
		}
	}

	w := b.login(t)
	if _, err := w.Write([]byte("\x01\x00\x00\x00\x05x")); err != nil {
		t.Fatal(err)
	}
	w.expectEnd("FATAL 08P01 protocol error: unknown message type: \x01")
	w = b.login(t)
	if _, err := w.Write([]byte("Q\x7f\xff\xff\xff")); err != nil {
		t.Fatal(err)
	}
	w.expectEnd("FATAL 54000 message of 2147483643 bytes exceeds the limit of 16777216")
	b.connect(t)
}

func TestStartupTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.StartupTimeout = 50 * time.Millisecond })
	b.dial(t).expectEnd()
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.MaxConnections = 1 })
	first := b.connect(t)
	_, err := pgx.Connect(t.Context(), b.url("admin", "s3cret", "dev"))
	if stateOf(err) != "53300" {
		t.Errorf("second connection: %v", err)
	}
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(limit); ; { // the place is free once the server noticed
		conn, err := pgx.Connect(t.Context(), b.url("admin", "s3cret", "dev"))
		if err == nil {
			_ = conn.Close(t.Context())
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestUsersAreChecked(t *testing.T) {
	t.Parallel()
	for _, users := range [][]User{{{Name: "a"}}, {{Password: "x"}}, {{Name: "a", Password: "x"}, {Name: "a", Password: "y"}}} {
		if s, err := New(Config{Warehouse: newFake(), Listen: "127.0.0.1:0", Users: users}); err == nil {
			_ = s.Close()
			t.Errorf("%v accepted", users)
		}
	}
	s, err := New(Config{Warehouse: newFake(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := New(Config{Warehouse: newFake(), Listen: s.Addr().String()}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("taken port: %v", err)
	}
}

func FuzzParseStartup(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x00user\x00admin\x00database\x00dev\x00\x00"))
	f.Add([]byte("\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x04\xd2\x16\x2f"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) < 4 {
			return
		}
		p, err := parseStartup(body)
		if err == nil && p.code>>16 == 3 {
			startupOptions(p.parameters["options"])
			newSettings(p.parameters["user"], false, p.parameters)
		}
	})
}
