package penstock

// Filter is a parsed data filter: an ordered list of include and exclude
// rules, of which the last that matches a table decides.
type Filter struct {
	text  string
	rules []FilterRule
}

// FilterRule is one rule of a Filter.
type FilterRule struct {
	Include bool
	Parts   []FilterPart // database.table or database.schema.table
}

// FilterPart is one name in a rule: a literal, any name, or a full-match regex.
type FilterPart struct {
	text string
}
