package control

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"penstock"
)

// The patterns of the RDS API model, which no SDK enforces.
var (
	sourceARNPattern  = regexp.MustCompile(`^arn:aws[a-z\-]*:rds(-[a-z]*)?:[a-z0-9\-]*:[0-9]*:(cluster|db):[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	namePattern       = regexp.MustCompile(`^[a-zA-Z](?:-?[a-zA-Z0-9]+)*$`)
	identifierPattern = regexp.MustCompile(`^[a-zA-Z0-9_:\-/]+$`)
)

func invalid(message string) error {
	return &penstock.Error{Kind: penstock.KindInvalid, Message: message}
}

// checkLength checks a parameter's length in characters.
func checkLength(parameter, value string, least, most int) error {
	if n := utf8.RuneCountInString(value); n < least || n > most {
		return invalid("The parameter " + parameter + " must have " + strconv.Itoa(least) + " to " + strconv.Itoa(most) +
			" characters, and has " + strconv.Itoa(n))
	}
	return nil
}

func checkSourceARN(arn string) error {
	if err := checkLength("SourceArn", arn, 1, 255); err != nil {
		return err
	}
	if !sourceARNPattern.MatchString(arn) {
		return invalid("The parameter SourceArn is not the ARN of a database: " + quote(arn) +
			" does not have the form arn:aws:rds:<region>:<account>:cluster:<name> or arn:aws:rds:<region>:<account>:db:<name>")
	}
	return nil
}

func checkName(name string) error {
	if err := checkLength("IntegrationName", name, 1, 63); err != nil {
		return err
	}
	if !namePattern.MatchString(name) {
		return invalid("The parameter IntegrationName must begin with a letter and consist of letters, digits and single hyphens, and not end with a hyphen: " + quote(name))
	}
	return nil
}

func checkDescription(text string) error {
	if err := checkLength("Description", text, 0, 1000); err != nil {
		return err
	}
	if strings.ContainsAny(text, "\n\r\u0085\u2028\u2029") {
		return invalid("The parameter Description must be a single line")
	}
	return nil
}

func checkIdentifier(identifier string) error {
	if err := checkLength("IntegrationIdentifier", identifier, 1, 255); err != nil {
		return err
	}
	if !identifierPattern.MatchString(identifier) {
		return invalid("The parameter IntegrationIdentifier must be an integration's name, UUID or ARN: " + quote(identifier))
	}
	return nil
}

// quote shows a value of the caller in a message, shortened.
func quote(s string) string {
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return strconv.Quote(s)
}
