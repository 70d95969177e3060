package memsource

import (
	"context"
	"strconv"

	"penstock"
)

var (
	_ penstock.Locator = (*capture)(nil)
	_ penstock.Labeler = (*Source)(nil)
)

// Label implements penstock.Labeler: the number of the step.
func (s *Source) Label(p penstock.Position) string {
	at, err := decodePosition(p)
	if err != nil {
		return ""
	}
	return strconv.Itoa(at.lsn)
}

// Now implements penstock.Locator.
func (c *capture) Now(ctx context.Context) (penstock.Position, error) {
	s := c.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "Now"); err != nil {
		return "", err
	}
	return position{lsn: c.db.lsn}.encode(), nil
}

// Locate implements penstock.Locator.
func (c *capture) Locate(text string) (penstock.Position, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return "", &penstock.Error{Kind: penstock.KindInvalid, Message: strconv.Quote(text) + " is not the number of a step"}
	}
	return position{lsn: n}.encode(), nil
}
