package control

import (
	"strconv"

	"penstock"
)

// Lengths and patterns of arguments belong to the wire and are checked there.
// What is checked in this package takes the configuration or the store.

func invalid(message string) error {
	return &penstock.Error{Kind: penstock.KindInvalid, Message: message}
}

// quote shows a value of the caller in a message, shortened.
func quote(s string) string {
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return strconv.Quote(s)
}
