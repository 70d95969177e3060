package sqlitestore

import (
	"encoding/json"
	"time"

	"penstock"
)

// The documents, as they stand in the file. A name once used keeps its
// meaning; members are added, not changed.

type integrationDocument struct {
	ARN               string             `json:"arn"`
	SourceARN         string             `json:"source_arn"`
	TargetARN         string             `json:"target_arn"`
	DataFilter        string             `json:"data_filter"`
	Description       string             `json:"description,omitempty"`
	KMSKeyID          string             `json:"kms_key_id"`
	EncryptionContext map[string]string  `json:"encryption_context,omitempty"`
	WrappedKey        []byte             `json:"wrapped_key,omitempty"`
	Tags              []tagDocument      `json:"tags,omitempty"`
	Status            penstock.Status    `json:"status"`
	StatusSince       time.Time          `json:"status_since"`
	Problems          []problemDocument  `json:"problems,omitempty"`
	Databases         []databaseDocument `json:"databases,omitempty"`
}

type tagDocument struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

type problemDocument struct {
	Code     penstock.ProblemCode `json:"code"`
	Severity penstock.Severity    `json:"severity"`
	Database string               `json:"database,omitempty"`
	Table    string               `json:"table,omitempty"`
	Message  string               `json:"message"`
	Mend     string               `json:"mend,omitempty"`
	Since    time.Time            `json:"since"`
}

type databaseDocument struct {
	Name           string                 `json:"name"`
	SourceDatabase string                 `json:"source_database,omitempty"`
	CreatedAt      time.Time              `json:"created_at"`
	State          penstock.DatabaseState `json:"state,omitempty"`
	Options        *optionsDocument       `json:"options,omitempty"` // nil: all by default
}

type optionsDocument struct {
	AcceptInvChars  bool  `json:"acceptinvchars,omitempty"`
	QueryAllStates  bool  `json:"query_all_states,omitempty"`
	RefreshInterval int64 `json:"refresh_interval,omitempty"` // seconds
	TruncateColumns bool  `json:"truncatecolumns,omitempty"`
	AutoRemediation bool  `json:"auto_remediation,omitempty"`
	HistoryMode     bool  `json:"history_mode,omitempty"`
}

type orphanDocument struct {
	Name      string    `json:"name"`
	Source    string    `json:"source"`
	Since     time.Time `json:"since"`
	LastTry   time.Time `json:"last_try"`
	LastError string    `json:"last_error,omitempty"`
	ByHand    []string  `json:"by_hand,omitempty"`
}

// convert maps a slice, nil and empty to nil.
func convert[T, U any](list []T, f func(T) U) []U {
	var converted []U
	for _, v := range list {
		converted = append(converted, f(v))
	}
	return converted
}

// encode returns the document of an integration; ID, name and creation time
// are columns.
func encode(in penstock.Integration) (string, error) {
	text, err := json.Marshal(integrationDocument{
		ARN: in.ARN, SourceARN: in.SourceARN, TargetARN: in.TargetARN, DataFilter: in.DataFilter, Description: in.Description,
		KMSKeyID: in.KMSKeyID, EncryptionContext: in.EncryptionContext, WrappedKey: in.WrappedKey, Status: in.Status, StatusSince: in.StatusSince.UTC(),
		Tags: convert(in.Tags, func(t penstock.Tag) tagDocument { return tagDocument(t) }),
		Problems: convert(in.Problems, func(p penstock.Problem) problemDocument {
			p.Since = p.Since.UTC()
			return problemDocument(p)
		}),
		Databases: convert(in.Databases, encodeDatabase),
	})
	return string(text), err
}

func decode(id penstock.IntegrationID, name string, created int64, document string) (penstock.Integration, error) {
	var d integrationDocument
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		return penstock.Integration{}, penstock.Errorf(penstock.KindInternal, "integration %s cannot be read from the store: %w", id, err)
	}
	return penstock.Integration{
		ID: id, Name: name, CreatedAt: time.Unix(0, created).UTC(),
		ARN: d.ARN, SourceARN: d.SourceARN, TargetARN: d.TargetARN, DataFilter: d.DataFilter, Description: d.Description,
		KMSKeyID: d.KMSKeyID, EncryptionContext: d.EncryptionContext, WrappedKey: d.WrappedKey, Status: d.Status, StatusSince: d.StatusSince,
		Tags:      convert(d.Tags, func(t tagDocument) penstock.Tag { return penstock.Tag(t) }),
		Problems:  convert(d.Problems, func(p problemDocument) penstock.Problem { return penstock.Problem(p) }),
		Databases: convert(d.Databases, decodeDatabase),
	}, nil
}

func encodeDatabase(d penstock.DestinationDatabase) databaseDocument {
	doc := databaseDocument{Name: d.Name, SourceDatabase: d.SourceDatabase, CreatedAt: d.CreatedAt.UTC(), State: d.State}
	if o := d.Options; o != (penstock.DatabaseOptions{}) {
		doc.Options = &optionsDocument{
			AcceptInvChars: o.AcceptInvChars, QueryAllStates: o.QueryAllStates, RefreshInterval: int64(o.RefreshInterval / time.Second),
			TruncateColumns: o.TruncateColumns, AutoRemediation: o.AutoRemediation, HistoryMode: o.HistoryMode,
		}
	}
	return doc
}

func decodeDatabase(doc databaseDocument) penstock.DestinationDatabase {
	d := penstock.DestinationDatabase{Name: doc.Name, SourceDatabase: doc.SourceDatabase, CreatedAt: doc.CreatedAt, State: doc.State}
	if o := doc.Options; o != nil {
		d.Options = penstock.DatabaseOptions{
			AcceptInvChars: o.AcceptInvChars, QueryAllStates: o.QueryAllStates, RefreshInterval: time.Duration(o.RefreshInterval) * time.Second,
			TruncateColumns: o.TruncateColumns, AutoRemediation: o.AutoRemediation, HistoryMode: o.HistoryMode,
		}
	}
	return d
}
