package penstock

import "fmt"

// TooLarge is the cause of an error of KindFull: rows of a table have values
// that do not fit into the target's memory together. A smaller batch does not
// help.
type TooLarge struct {
	Table *Table
	Bytes int64 // that the rows take which the target has to have in memory at once
	Fits  int64 // that it has room for; 0 if that is not known
	Needs int64 // the memory in the configuration that would do; 0 if that is not known
}

func (t *TooLarge) Error() string {
	if t.Fits == 0 {
		return fmt.Sprintf("rows of table %s, %d MiB with what comes with them, do not fit into the warehouse's memory", t.Table, (t.Bytes+1<<20-1)>>20)
	}
	return fmt.Sprintf("table %s has neighbouring rows of %d MiB, and the warehouse has memory for %d MiB of them at once", t.Table, t.Bytes>>20, t.Fits>>20)
}

// Mend says what memory would do.
func (t *TooLarge) Mend() string {
	if t.Needs == 0 {
		return "raise memory in the configuration"
	}
	return fmt.Sprintf("raise memory in the configuration to %d MiB or more", (t.Needs+1<<20-1)>>20)
}
