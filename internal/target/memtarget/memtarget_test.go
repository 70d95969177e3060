package memtarget_test

import (
	"context"
	"errors"
	"testing"

	"penstock"
	"penstock/internal/target/memtarget"
	"penstock/internal/target/targettest"
)

type subject struct{ target *memtarget.Target }

func (s subject) Target() penstock.Target { return s.target }
func (s subject) Restart(*testing.T)      { s.target.Close() }

func (s subject) Read(_ *testing.T, database string, table *penstock.Table) (*penstock.Rows, bool) {
	_, rows, ok := s.target.Read(database, table.Schema, table.Name)
	return rows, ok
}

func TestConformance(t *testing.T) {
	t.Parallel()
	targettest.Run(t, func(t *testing.T) targettest.Subject { return subject{memtarget.New()} })
}

func TestIntercept(t *testing.T) {
	t.Parallel()
	target := memtarget.New()
	d, err := target.Open(context.Background(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is on fire")
	target.Intercept(func(op string) error {
		if op == "Apply" {
			return broken
		}
		return nil
	})
	if err := d.Apply(context.Background(), "", &penstock.Batch{Next: "p"}); !errors.Is(err, broken) {
		t.Fatalf("got %v, want the intercepted error", err)
	}
	target.Intercept(nil)
	if err := d.Apply(context.Background(), "", &penstock.Batch{Next: "p"}); err != nil {
		t.Fatal(err)
	}
}
