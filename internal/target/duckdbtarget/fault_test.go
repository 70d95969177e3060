package duckdbtarget

import (
	"testing"

	"penstock"
)

// TestFaultKinds classifies what the engine says, also where an appender words it
// without a class.
func TestFaultKinds(t *testing.T) {
	for text, want := range map[string]penstock.Kind{
		"Out of Memory Error: could not allocate block of size 256.0 KiB (63.7 MiB/64.0 MiB used)": penstock.KindFull,
		"Failed to append: could not allocate block of size 256.0 KiB (63.7 MiB/64.0 MiB used)":    penstock.KindFull,
		"Failed to append: failed to allocate data of size 16.0 MiB (60.1 MiB/64.0 MiB used)":      penstock.KindFull,
		"Failed to append: failed to reserve memory data of size 8.0 MiB (60.1 MiB/64.0 MiB used)": penstock.KindFull,
		"Failed to append: failed to pin block of size 256.0 KiB (63.7 MiB/64.0 MiB used)":         penstock.KindFull,
		"Failed to allocate block of 4096 bytes (bad allocation)":                                  penstock.KindFull,
		"IO Error: Could not write file \"x\": No space left on device":                            penstock.KindFull,
		"Conversion Error: Could not convert string 'a' to INT32":                                  penstock.KindInternal,
		"TransactionContext Error: Conflict on tuple deletion!":                                    penstock.KindUnreachable,
		"FATAL Error: database has been invalidated":                                               penstock.KindUnreachable,
	} {
		err := fault(newEngineError(text), "f", "append")
		if got := penstock.KindOf(err); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
		if full := want == penstock.KindFull; full && penstock.MendOf(err) == "" {
			t.Errorf("%q: no mend in %v", text, err)
		}
	}
}
