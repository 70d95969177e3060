package policy

import "strings"

// match reports whether a pattern matches the whole of a text: * stands for
// any characters, ? for one.
func match(pattern, text string) bool {
	// The last * seen, and where in the text what follows it is tried.
	star, retry := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			retry++
			p, t = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchFold is match without regard to upper and lower case, as actions are
// compared.
func matchFold(pattern, text string) bool {
	return match(strings.ToLower(pattern), strings.ToLower(text))
}
