package memstore_test

import (
	"testing"

	"penstock"
	"penstock/internal/store/memstore"
	"penstock/internal/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) penstock.Store { return memstore.New() })
}
