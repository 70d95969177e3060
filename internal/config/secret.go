package config

import "log/slog"

// Secret is a text that shows itself only when told to: every way of printing,
// logging or encoding it gives "***", or "" if it is empty.
type Secret struct{ text string }

// NewSecret returns a Secret of the text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text.
func (s Secret) Reveal() string { return s.text }

// IsEmpty reports whether there is no text.
func (s Secret) IsEmpty() bool { return s.text == "" }

func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return "***"
}

// GoString keeps the text out of %#v.
func (s Secret) GoString() string { return `config.Secret("` + s.String() + `")` }

// LogValue keeps the text out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON keeps the text out of JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML keeps the text out of YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }
