package penstock

import "fmt"

// TooLarge is the cause of an error of KindFull: rows of a table have values
// that do not fit into the target's memory together, it has so many columns
// that a single row does not, or so many rows that the target cannot remember
// which of them are gone. A smaller batch does not help.
type TooLarge struct {
	Table   *Table
	Columns int    // that the table has, if these are too many
	Rows    int64  // that the table has, if these are too many
	Bytes   int64  // that the rows take, or what is remembered of them, which the target has to have in memory at once
	Fits    int64  // that it has room for; 0 if that is not known
	Needs   int64  // the memory in the configuration that would do; 0 if that is not known
	Instead string // what else would do: "free 2 GiB on the disk of /var/lib/penstock"; "" if nothing
}

func (t *TooLarge) Error() string {
	switch {
	case t.Columns > 0:
		return fmt.Sprintf("table %s has %d columns, for which the warehouse needs %d MiB at once and has %d", t.Table, t.Columns, (t.Bytes+1<<20-1)>>20, t.Fits>>20)
	case t.Rows > 0:
		return fmt.Sprintf("table %s has %d rows that are changed all over, for which the warehouse needs %d MiB at once and has %d", t.Table, t.Rows, (t.Bytes+1<<20-1)>>20, t.Fits>>20)
	case t.Fits == 0:
		return fmt.Sprintf("rows of table %s, %d MiB with what comes with them, do not fit into the warehouse's memory", t.Table, (t.Bytes+1<<20-1)>>20)
	}
	return fmt.Sprintf("table %s has neighbouring rows of %d MiB, and the warehouse has memory for %d MiB of them at once", t.Table, t.Bytes>>20, t.Fits>>20)
}

// Mend says what memory would do, and what else.
func (t *TooLarge) Mend() string {
	mend := "raise memory in the configuration"
	if t.Needs > 0 {
		mend += fmt.Sprintf(" to %d MiB or more", (t.Needs+1<<20-1)>>20)
	}
	if t.Instead != "" {
		mend += ", or " + t.Instead
	}
	return mend
}
