package control

import (
	"context"
	"slices"
	"strconv"

	"penstock"
)

// maxTags is how many tags an integration may have.
const maxTags = 50

// AddTags attaches tags to the integration with that ARN; a key that it has
// already gets the new value. KindInvalid if there would be too many.
func (s *Service) AddTags(ctx context.Context, arn string, tags []penstock.Tag) error {
	return s.retag(ctx, arn, func(have []penstock.Tag) ([]penstock.Tag, error) {
		for _, t := range tags {
			if i := slices.IndexFunc(have, func(h penstock.Tag) bool { return h.Key == t.Key }); i >= 0 {
				have[i].Value = t.Value
			} else {
				have = append(have, t)
			}
		}
		if len(have) > maxTags {
			return nil, invalid("An integration can have at most " + strconv.Itoa(maxTags) + " tags")
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
	in, err := s.find(ctx, arn)
	return in.Tags, err
}

func (s *Service) retag(ctx context.Context, arn string, f func([]penstock.Tag) ([]penstock.Tag, error)) error {
	in, err := s.find(ctx, arn)
	if err != nil {
		return err
	}
	_, err = s.ledger.change(ctx, in.ID, func(e *edit) (err error) {
		e.Tags, err = f(e.Tags)
		return err
	})
	return err
}
