package pgwire

import (
	"testing"

	"go.uber.org/goleak"
)

// The PostgreSQL server that tests share lives as long as their process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("penstock/internal/testdb.start.func1"),
		goleak.IgnoreAnyFunction("penstock/internal/testdb.(*Server).startReaper.func1"))
}
