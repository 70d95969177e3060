package config

import (
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"penstock/internal/policy"
)

// Config is a valid configuration. Addresses are host:port; paths are absolute
// or relative to the working directory, however they were written.
type Config struct {
	Account string // 12 digits
	Region  string
	DataDir string
	Memory  int64 // bytes

	Log        Log
	API        API
	SQL        SQL
	AccessKeys []AccessKey
	KMSKeys    []KMSKey // in the order of the file
	Quotas     Quotas
	Throttle   Throttle
	Sources    []Source // in the order of the file
	Targets    []Target // in the order of the file

	CreatingLimit time.Duration
	DeleteGrace   time.Duration
	PProf         string // address of the profiling endpoint; "" for none
}

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// LogFormat is the form of log lines.
type LogFormat string

// The log formats.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// API configures the integration API.
type API struct {
	Listen string
	TLS    TLS // off or files
}

// SQL configures the SQL endpoints.
type SQL struct {
	Listen string // of the first duckdb target that has no address of its own
	TLS    TLS
	Users  []User
}

// TLSMode says where an endpoint's certificate comes from.
type TLSMode string

// The TLS modes.
const (
	TLSAuto  TLSMode = "auto"  // self-signed, made once and kept in the data folder
	TLSOff   TLSMode = "off"   // none
	TLSFiles TLSMode = "files" // TLS.Cert and TLS.Key
)

// TLS configures an endpoint's encryption.
type TLS struct {
	Mode      TLSMode
	Cert, Key string // paths of PEM files, set if and only if Mode is TLSFiles
}

// User may log in to the SQL endpoints.
type User struct {
	Name      string
	Password  Secret
	Superuser bool
}

// AccessKey may sign requests to the integration API.
type AccessKey struct {
	ID     string
	Secret Secret
	Policy *policy.Policy // nil: it may do everything
}

// KMSKey is an encryption key that integrations may name.
type KMSKey struct {
	Name    string
	Secret  Secret   // the material: 32 bytes
	Aliases []string // each with the prefix alias/
	Enabled bool
}

// Quotas limit the number of integrations.
type Quotas struct{ PerAccount, PerTarget, PerSource int }

// Throttle limits the requests of each access key.
type Throttle struct {
	Rate  float64 // requests per second; 0 is no limit
	Burst int     // requests at once; at least 1 where there is a Rate
}

// SourceKind is which kind of RDS resource a source passes for in its ARN.
type SourceKind string

// The source kinds.
const (
	SourceCluster SourceKind = "cluster"
	SourceDB      SourceKind = "db"
)

// Source is a database server that integrations may read from.
type Source struct {
	Name     string
	Kind     SourceKind
	URL      *url.URL // without a password
	Password Secret   // may be empty

	// Publication is one that somebody prepared in every database; "" has each
	// integration make its own.
	Publication    string
	WALAlarm       int64 // bytes; 0 is none
	WALLimit       int64 // bytes; 0 is none
	Load           Loading
	OnLostPosition LostPosition
	DDLTrigger     DDLTrigger
}

// DDLTrigger says whether changes of tables are told by an event trigger.
type DDLTrigger string

// Whether they are.
const (
	DDLTriggerAuto DDLTrigger = "auto" // where the role may make one
	DDLTriggerOff  DDLTrigger = "off"
)

// Loading bounds what loading tables asks of a source.
type Loading struct {
	Connections      int           // at a time
	Chunk            time.Duration // the longest lock and transaction
	MaxRowsPerSecond int64         // of all loads together; 0 is no limit
}

// LostPosition says what happens when a source can no longer deliver what
// follows the place that replication has reached.
type LostPosition string

// What happens then.
const (
	LostPositionReload LostPosition = "reload" // all tables are loaded again, behind a swap
	LostPositionStop   LostPosition = "stop"   // the integration fails
)

// ConnString returns the URL with the password, for the driver. It is a
// secret: it belongs into no message.
func (s Source) ConnString() string {
	u := *s.URL
	if password := s.Password.Reveal(); password != "" {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	return u.String()
}

// Engine names the engine of a target.
type Engine string

// EngineDuckDB is the embedded warehouse.
const EngineDuckDB Engine = "duckdb"

// Target is a warehouse that integrations may write to.
type Target struct {
	Name                string
	Engine              Engine
	Namespace           uuid.UUID     // given, or derived from account, region and name
	Listen              string        // address of an SQL endpoint of its own; "" for none
	FlushMinInterval    time.Duration // pacing while caught up
	Authorization       Authorization
	DestinationDatabase DatabaseMode
	OnBadValue          BadValue
}

// BadValue says what happens to a value that the warehouse cannot hold.
type BadValue string

// What happens to it.
const (
	BadValueNullify BadValue = "nullify" // it is NULL, counted and reported
	BadValueFail    BadValue = "fail"    // its table fails
)

// DatabaseMode says how destination databases come into being.
type DatabaseMode string

// The ways.
const (
	DatabaseAuto   DatabaseMode = "auto"   // by themselves
	DatabaseManual DatabaseMode = "manual" // by CREATE DATABASE … FROM INTEGRATION
)

// Authorization says whether integrating with a target takes a resource
// policy that allows it.
type Authorization string

// The ways of authorization.
const (
	AuthorizationOff      Authorization = "off"
	AuthorizationRequired Authorization = "required"
)

// Default values, where a file does not say otherwise.
const (
	DefaultAccount          = "000000000000"
	DefaultRegion           = "us-east-1"
	DefaultDataDir          = "data"
	DefaultMemory           = 512 << 20
	DefaultAPIListen        = "127.0.0.1:8400"
	DefaultSQLListen        = "127.0.0.1:5439"
	DefaultFlushMinInterval = 25 * time.Millisecond
	DefaultLoadConnections  = 2
	DefaultLoadChunk        = 10 * time.Second
	DefaultWALAlarm         = 8 << 30
	DefaultWALLimit         = 32 << 30
	DefaultCreatingLimit    = 25 * time.Minute
	DefaultDeleteGrace      = 60 * time.Second
)

// MinMemory is the least that Config.Memory may be, with one target: the warehouse's engine
// works with half of it.
const MinMemory = 128 << 20

// Default returns the configuration that an empty mapping stands for, with
// paths relative to dir.
func Default(dir string) *Config {
	return &Config{
		Account:       DefaultAccount,
		Region:        DefaultRegion,
		DataDir:       joinPath(dir, DefaultDataDir),
		Memory:        DefaultMemory,
		Log:           Log{Level: slog.LevelInfo, Format: LogText},
		API:           API{Listen: DefaultAPIListen, TLS: TLS{Mode: TLSOff}},
		SQL:           SQL{Listen: DefaultSQLListen, TLS: TLS{Mode: TLSAuto}},
		Quotas:        Quotas{PerAccount: 100, PerTarget: 50, PerSource: 5},
		CreatingLimit: DefaultCreatingLimit,
		DeleteGrace:   DefaultDeleteGrace,
	}
}

// Source returns the source of that name, nil if there is none.
func (c *Config) Source(name string) *Source {
	for i := range c.Sources {
		if c.Sources[i].Name == name {
			return &c.Sources[i]
		}
	}
	return nil
}

// Target returns the target of that name, nil if there is none.
func (c *Config) Target(name string) *Target {
	for i := range c.Targets {
		if c.Targets[i].Name == name {
			return &c.Targets[i]
		}
	}
	return nil
}

// Partition returns the ARN partition that the region is in.
func (c *Config) Partition() string {
	switch {
	case strings.HasPrefix(c.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(c.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// SourceARN returns the ARN of a source of c.
func (c *Config) SourceARN(s *Source) string {
	return strings.Join([]string{"arn", c.Partition(), "rds", c.Region, c.Account, string(s.Kind), s.Name}, ":")
}

// TargetARN returns the ARN of a target of c.
func (c *Config) TargetARN(t *Target) string {
	return strings.Join([]string{"arn", c.Partition(), "redshift-serverless", c.Region, c.Account,
		"namespace/" + t.Namespace.String()}, ":")
}

// namespaceRoot is the root of derived namespaces. It must never change, since
// the ARNs of targets come from it.
var namespaceRoot = uuid.MustParse("6f3b1e52-5d0c-4c4e-9a55-0b7f0d9f2a11")

// deriveNamespace returns the namespace of a target that was given none.
func (c *Config) deriveNamespace(target string) uuid.UUID {
	return uuid.NewSHA1(namespaceRoot, []byte(c.Account+"/"+c.Region+"/"+target))
}

// Endpoint is an SQL endpoint to serve.
type Endpoint struct {
	Target string
	Listen string
}

// Endpoints returns the SQL endpoints: of every target that has an address of
// its own, and on SQL.Listen of the first duckdb target that has none.
func (c *Config) Endpoints() []Endpoint {
	var all []Endpoint
	taken := false
	for _, t := range c.Targets {
		switch {
		case t.Listen != "":
			all = append(all, Endpoint{t.Name, t.Listen})
		case t.Engine == EngineDuckDB && !taken:
			taken = true
			all = append(all, Endpoint{t.Name, c.SQL.Listen})
		}
	}
	return all
}
