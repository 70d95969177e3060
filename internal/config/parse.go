package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The parsers of single values. Their errors are sentences without a subject,
// which is the path in front of them.

var (
	accountPattern   = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern    = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	namePattern      = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	accessKeyPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	hostPattern      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	sizePattern      = regexp.MustCompile(`^([0-9]+) ?(B|KiB|MiB|GiB|TiB)$`)
)

func parseAccount(s string) (string, error) {
	if !accountPattern.MatchString(s) {
		return "", fmt.Errorf("must be 12 digits, is %q", s)
	}
	return s, nil
}

func parseRegion(s string) (string, error) {
	if !regionPattern.MatchString(s) {
		return "", fmt.Errorf("must be a region name like us-east-1, is %q", s)
	}
	return s, nil
}

// checkName checks the name of a source or target by AWS's rule for identifiers.
func checkName(s string) error {
	if !namePattern.MatchString(s) {
		return fmt.Errorf("the name %q must begin with a lower-case letter and have only lower-case letters, "+
			"digits and single hyphens between them", s)
	}
	if len(s) > 63 {
		return fmt.Errorf("the name %q is longer than 63 characters", s)
	}
	return nil
}

func parseAccessKeyID(s string) (string, error) {
	if !accessKeyPattern.MatchString(s) {
		return "", errors.New("must be 1 to 128 letters, digits, hyphens and underscores")
	}
	return s, nil
}

func parseUserName(s string) (string, error) {
	if s == "" || len(s) > 63 || strings.ContainsRune(s, 0) {
		return "", errors.New("must be a name of 1 to 63 bytes")
	}
	return s, nil
}

var sizeUnits = map[string]uint64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// parseSize parses "512MiB" into bytes.
func parseSize(s string) (int64, error) {
	m := sizePattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("must be a size like 512MiB (units B, KiB, MiB, GiB, TiB), is %q", s)
	}
	n, err := strconv.ParseUint(m[1], 10, 63)
	if unit := sizeUnits[m[2]]; err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%s is too large", s)
	} else {
		return int64(n * unit), nil
	}
}

// parseSizeOrNone also takes 0, for none.
func parseSizeOrNone(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	return parseSize(s)
}

// writeSize is the reverse of parseSize.
func writeSize(n int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := int64(sizeUnits[unit]); n%size == 0 {
			return fmt.Sprint(n/size) + unit
		}
	}
	return fmt.Sprint(n) + "B"
}

func parseMemory(s string) (int64, error) {
	n, err := parseSize(s)
	if err == nil && n < MinMemory {
		return 0, fmt.Errorf("must be at least %dMiB, is %s", MinMemory>>20, s)
	}
	return n, err
}

func parseDuration(s string) (time.Duration, error) {
	x, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("must be a duration like 10s or 25m, is %q", s)
	}
	if x < 0 {
		return 0, fmt.Errorf("must not be negative, is %s", s)
	}
	return x, nil
}

func parsePositiveDuration(s string) (time.Duration, error) {
	x, err := parseDuration(s)
	if err == nil && x == 0 {
		return 0, errors.New("must be longer than 0")
	}
	return x, err
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("must be true or false, is %q", s)
}

// oneOf returns a parser of a word out of several.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		names := make([]string, len(words))
		for i, w := range words {
			if names[i] = string(w); s == names[i] {
				return w, nil
			}
		}
		return "", fmt.Errorf("must be %s, is %q", strings.Join(names, " or "), s)
	}
}

func parseLevel(s string) (slog.Level, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("must be debug, info, warn or error, is %q", s)
}

func parseUUID(s string) (uuid.UUID, error) {
	u, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return uuid.Nil, fmt.Errorf("must be a UUID like 0f7c3c5e-8a51-4f0a-9a4e-2f6d1f5b7c10, is %q", s)
	}
	return u, nil
}

// parseListen parses host:port. Port 0 lets the system choose.
func parseListen(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("must be an address like 127.0.0.1:8400, is %q", s)
	}
	if host != "" && net.ParseIP(host) == nil && !hostPattern.MatchString(host) {
		return "", fmt.Errorf("%q is neither an IP address nor a host name", host)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("the port must be a number from 0 to 65535, is %q", port)
	}
	return s, nil
}

// parseEngine refuses the engines that do not exist yet by name.
func parseEngine(s string) (Engine, error) {
	switch s {
	case string(EngineDuckDB):
		return EngineDuckDB, nil
	case "clickhouse", "iceberg", "redshift":
		return "", fmt.Errorf("the engine %s is not available in this version; use duckdb", s)
	}
	return "", fmt.Errorf("must be duckdb, is %q", s)
}
