package control

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"penstock"
)

const maxTags = 50

var tagPattern = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// AddTags attaches tags to the integration with that ARN; a key that it has
// already gets the new value. KindInvalid if a tag or the total is not allowed.
func (s *Service) AddTags(ctx context.Context, arn string, tags []penstock.Tag) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	return s.retag(ctx, arn, func(have []penstock.Tag) ([]penstock.Tag, error) {
		for _, t := range tags {
			if i := slices.IndexFunc(have, func(h penstock.Tag) bool { return h.Key == t.Key }); i >= 0 {
				have[i].Value = t.Value
			} else {
				have = append(have, t)
			}
		}
		if len(have) > maxTags {
			return nil, tooManyTags()
		}
		return have, nil
	})
}

// RemoveTags removes tags by key; a key that is not there is no error.
func (s *Service) RemoveTags(ctx context.Context, arn string, keys []string) error {
	return s.retag(ctx, arn, func(have []penstock.Tag) ([]penstock.Tag, error) {
		return slices.DeleteFunc(have, func(t penstock.Tag) bool { return slices.Contains(keys, t.Key) }), nil
	})
}

// ListTags returns the tags of the integration with that ARN.
func (s *Service) ListTags(ctx context.Context, arn string) ([]penstock.Tag, error) {
	in, err := s.tagged(ctx, arn)
	return in.Tags, err
}

func (s *Service) retag(ctx context.Context, arn string, f func([]penstock.Tag) ([]penstock.Tag, error)) error {
	in, err := s.tagged(ctx, arn)
	if err != nil {
		return err
	}
	_, err = s.ledger.change(ctx, in.ID, func(e *edit) (err error) {
		e.Tags, err = f(e.Tags)
		return err
	})
	return err
}

// tagged returns the integration that a ResourceName names.
func (s *Service) tagged(ctx context.Context, arn string) (penstock.Integration, error) {
	if strings.TrimSpace(arn) == "" {
		return penstock.Integration{}, invalid("The parameter ResourceName must be provided and must not be blank.")
	}
	a, ok := penstock.ParseARN(arn)
	if !ok || !strings.HasPrefix(a.Resource, "integration:") {
		return penstock.Integration{}, invalid("The parameter ResourceName must be the ARN of an integration: " + quote(arn))
	}
	return s.find(ctx, arn)
}

func checkTags(tags []penstock.Tag) error {
	if len(tags) > maxTags {
		return tooManyTags()
	}
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		if err := checkLength("Tag.Key", t.Key, 1, 128); err != nil {
			return err
		}
		if err := checkLength("Tag.Value", t.Value, 0, 256); err != nil {
			return err
		}
		for _, text := range []string{t.Key, t.Value} {
			if !tagPattern.MatchString(text) {
				return invalid("The tag text " + quote(text) + " has characters other than letters, digits, spaces and _ . : / = + - @")
			}
		}
		for _, prefix := range []string{"aws:", "rds:"} {
			if len(t.Key) >= len(prefix) && strings.EqualFold(t.Key[:len(prefix)], prefix) {
				return invalid("The tag key " + quote(t.Key) + " begins with " + prefix + ", which is reserved")
			}
		}
		if seen[t.Key] {
			return invalid("The tag key " + quote(t.Key) + " is given twice")
		}
		seen[t.Key] = true
	}
	return nil
}

func tooManyTags() error {
	return invalid("An integration can have at most " + strconv.Itoa(maxTags) + " tags")
}
