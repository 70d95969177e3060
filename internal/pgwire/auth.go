package pgwire

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

const scramIterations = 4096 // PostgreSQL's default

// User is somebody who may connect.
type User struct {
	Name      string
	Password  string
	Superuser bool // sees the system views of integrations
}

// account is a User with what SCRAM keeps of the password.
type account struct {
	User
	stored scram.StoredCredentials
}

// accounts holds all users. It is not changed after newAccounts.
type accounts struct {
	byName map[string]account
	// salt makes up credentials for users that there are none of, the same for
	// one name each time, so that nobody learns who exists.
	salt [32]byte
}

func newAccounts(users []User) (*accounts, error) {
	a := &accounts{byName: map[string]account{}}
	rand.Read(a.salt[:]) // never fails
	for _, u := range users {
		if u.Name == "" || u.Password == "" {
			return nil, fmt.Errorf("user %q of the SQL endpoint needs a name and a password", u.Name)
		}
		if _, ok := a.byName[u.Name]; ok {
			return nil, fmt.Errorf("user %q of the SQL endpoint is defined twice", u.Name)
		}
		salt := make([]byte, 16)
		rand.Read(salt)
		stored, err := scramCredentials(u.Password, string(salt))
		if err != nil {
			return nil, fmt.Errorf("password of user %q: %w", u.Name, err)
		}
		a.byName[u.Name] = account{User: u, stored: stored}
	}
	return a, nil
}

func scramCredentials(password, salt string) (scram.StoredCredentials, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil { // not for SASLprep: then its bytes are what counts
		if client, err = scram.SHA256.NewClientUnprepped("", password, ""); err != nil {
			return scram.StoredCredentials{}, err
		}
	}
	return client.GetStoredCredentials(scram.KeyFactors{Salt: salt, Iters: scramIterations}), nil
}

// lookup returns the account of a name, or one that no password opens.
func (a *accounts) lookup(name string) (_ account, ok bool) {
	if u, ok := a.byName[name]; ok {
		return u, true
	}
	mac := func(what string) []byte {
		h := hmac.New(sha256.New, a.salt[:])
		h.Write([]byte(what + "\x00" + name))
		return h.Sum(nil)
	}
	return account{stored: scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(mac("salt")[:16]), Iters: scramIterations},
		StoredKey:  mac("stored"), ServerKey: mac("server"),
	}}, false
}

var errBadPassword = errors.New("wrong user or password")

// authenticate makes sure that the client is the user that it says. How
// depends on the client: Redshift's own drivers, which name their version at
// startup, know no SCRAM.
func (c *conn) authenticate() error {
	user, known := c.server.accounts.lookup(c.user)
	var err error
	switch {
	case !c.redshiftDriver:
		err = c.scram(user)
	case c.tls:
		err = c.password(user)
	default:
		err = c.md5(user)
	}
	if err == nil && !known {
		err = errBadPassword
	}
	if errors.Is(err, errBadPassword) {
		c.log.Info("login refused", "user", c.user, "remote", c.remote)
		return c.refuse(fatal("28P01", fmt.Sprintf("password authentication failed for user %q", c.user)))
	}
	if err != nil {
		return err
	}
	c.superuser = user.Superuser
	return nil
}

// scram runs SCRAM-SHA-256.
func (c *conn) scram(user account) error {
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return user.stored, nil })
	if err != nil {
		return err
	}
	talk := server.NewConversation()

	c.out.send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
	m, err := c.receiveAuth(pgproto3.AuthTypeSASL)
	if err != nil {
		return err
	}
	first, ok := m.(*pgproto3.SASLInitialResponse)
	if !ok || first.AuthMechanism != "SCRAM-SHA-256" {
		return c.refuse(fatal("08P01", "client selected an invalid SASL authentication mechanism"))
	}
	if len(first.Data) == 0 || first.Data[0] == ',' {
		return c.refuse(fatal("08P01", "malformed SCRAM message"))
	}
	answer, err := talk.Step(string(first.Data))
	if err != nil {
		return c.refuse(fatal("08P01", "malformed SCRAM message"))
	}

	c.out.send(&pgproto3.AuthenticationSASLContinue{Data: []byte(answer)})
	if m, err = c.receiveAuth(pgproto3.AuthTypeSASLContinue); err != nil {
		return err
	}
	final, ok := m.(*pgproto3.SASLResponse)
	if !ok || !validProof(string(final.Data)) {
		return c.refuse(fatal("08P01", "malformed SCRAM message"))
	}
	if answer, err = talk.Step(string(final.Data)); err != nil || !talk.Valid() {
		return errBadPassword
	}
	c.out.send(&pgproto3.AuthenticationSASLFinal{Data: []byte(answer)})
	return nil
}

// validProof reports whether the proof in a client's final message has the
// length of a SHA-256, which the conversation relies on.
func validProof(message string) bool {
	i := strings.LastIndex(message, ",p=")
	if i < 0 {
		return false
	}
	proof, err := base64.StdEncoding.DecodeString(message[i+3:])
	return err == nil && len(proof) == sha256.Size
}

// password takes the password as it is; over TLS only.
func (c *conn) password(user account) error {
	c.out.send(&pgproto3.AuthenticationCleartextPassword{})
	given, err := c.receivePassword(pgproto3.AuthTypeCleartextPassword)
	if err != nil {
		return err
	}
	return samePassword(given, user.Password)
}

func (c *conn) md5(user account) error {
	m := &pgproto3.AuthenticationMD5Password{}
	rand.Read(m.Salt[:])
	c.out.send(m)
	given, err := c.receivePassword(pgproto3.AuthTypeMD5Password)
	if err != nil {
		return err
	}
	return samePassword(given, md5Answer(user.Name, user.Password, m.Salt))
}

func md5Answer(user, password string, salt [4]byte) string {
	inner := md5.Sum([]byte(password + user))
	outer := md5.Sum(append(hex.AppendEncode(nil, inner[:]), salt[:]...))
	return "md5" + hex.EncodeToString(outer[:])
}

func samePassword(given, want string) error {
	g, w := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	if want == "" || subtle.ConstantTimeCompare(g[:], w[:]) != 1 {
		return errBadPassword
	}
	return nil
}

func (c *conn) receivePassword(authType uint32) (string, error) {
	m, err := c.receiveAuth(authType)
	if err != nil {
		return "", err
	}
	p, ok := m.(*pgproto3.PasswordMessage)
	if !ok {
		return "", c.refuse(fatal("08P01", "expected password response"))
	}
	return p.Password, nil
}

// receiveAuth sends what is waiting and receives the client's answer to it.
func (c *conn) receiveAuth(authType uint32) (pgproto3.FrontendMessage, error) {
	c.out.flush()
	if err := c.in.SetAuthType(authType); err != nil {
		return nil, err
	}
	m, err := c.in.Receive()
	if err != nil {
		return nil, errDone // gone, or no answer that could be read
	}
	return m, nil
}
