package lab

import (
	"strings"
	"testing"
)

// TestAlone: an embedded DuckDB answers statements and goes on after errors.
func TestAlone(t *testing.T) {
	t.Parallel()
	a, err := open(t).StartAlone(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ sql, want, fails string }{
		{TPCH[1].Create(true), "", ""},
		{"INSERT INTO nation VALUES (1, 'a', 2, 'b;')", "1\n", ""},
		{"SELECT * FROM nowhere", "", "nowhere"},
		{"SELECT n_nationkey, n_comment FROM nation UNION ALL SELECT " + TPCHOrderKey("8") + ", 'key' ORDER BY 1", "1\tb;\n32\tkey\n", ""},
	} {
		got, err := a.Ask(t.Context(), c.sql)
		if got != c.want || (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %q, %v", c.sql, got, err)
		}
	}
}
