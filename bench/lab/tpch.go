package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// TPCH is the schema of TPC-H, clause 1.4 of its specification; texts have no
// declared length.
var TPCH = []TPCHTable{
	{Table{Name: "region", Columns: columns("r_regionkey integer, r_name text, r_comment text")}, "r_regionkey"},
	{Table{Name: "nation", Columns: columns("n_nationkey integer, n_name text, n_regionkey integer, n_comment text")}, "n_nationkey"},
	{Table{Name: "supplier", Columns: columns("s_suppkey integer, s_name text, s_address text, s_nationkey integer, s_phone text, s_acctbal decimal(15,2), s_comment text")}, "s_suppkey"},
	{Table{Name: "customer", Columns: columns("c_custkey integer, c_name text, c_address text, c_nationkey integer, c_phone text, c_acctbal decimal(15,2), c_mktsegment text, c_comment text")}, "c_custkey"},
	{Table{Name: "part", Columns: columns("p_partkey integer, p_name text, p_mfgr text, p_brand text, p_type text, p_size integer, p_container text, p_retailprice decimal(15,2), p_comment text")}, "p_partkey"},
	{Table{Name: "partsupp", Columns: columns("ps_partkey integer, ps_suppkey integer, ps_availqty integer, ps_supplycost decimal(15,2), ps_comment text")}, "ps_partkey, ps_suppkey"},
	{Table{Name: "orders", Columns: columns("o_orderkey bigint, o_custkey integer, o_orderstatus text, o_totalprice decimal(15,2), o_orderdate date, o_orderpriority text, o_clerk text, o_shippriority integer, o_comment text")}, "o_orderkey"},
	{Table{Name: "lineitem", Columns: columns("l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity decimal(15,2), l_extendedprice decimal(15,2), l_discount decimal(15,2), l_tax decimal(15,2), l_returnflag text, l_linestatus text, l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct text, l_shipmode text, l_comment text")}, "l_orderkey, l_linenumber"},
}

// TPCHTable is a table of TPC-H with its primary key.
type TPCHTable struct {
	Table
	Key string
}

func columns(list string) (out []Column) {
	for c := range strings.SplitSeq(list, ", ") {
		name, typ, _ := strings.Cut(c, " ")
		out = append(out, Column{Name: name, Type: typ})
	}
	return out
}

// Create returns the statement that makes the table, which both engines
// understand.
func (t *TPCHTable) Create(key bool) string {
	var list []string
	for _, c := range t.Columns {
		list = append(list, c.Name+" "+c.Type)
	}
	if key {
		list = append(list, "PRIMARY KEY ("+t.Key+")")
	}
	return "CREATE TABLE " + t.Name + " (" + strings.Join(list, ", ") + ")"
}

// TPCHOrderKey is an SQL expression for the key of order number n, from 1: of
// every 32 keys the first eight are used.
func TPCHOrderKey(n string) string { return "((((" + n + ") >> 3) << 5) | ((" + n + ") & 7))" }

// TPCHOrders returns how many orders there are at a scale factor.
func TPCHOrders(scale float64) int64 { return int64(scale * 1_500_000) }

// GenerateTPCH makes the data of a scale factor, a CSV file with a header for
// each table; ErrMissing if the generator is not there.
func (e *Env) GenerateTPCH(ctx context.Context, scale float64) (dir string, err error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "penstock").Output()
	if err != nil {
		return "", fmt.Errorf("find the module of penstock: %w", err)
	}
	tool := filepath.Join(strings.TrimSpace(string(root)), ".cache/bench/bin/tpchgen-cli")
	if _, err := os.Stat(tool); err != nil {
		if tool, err = exec.LookPath("tpchgen-cli"); err != nil {
			return "", fmt.Errorf("tpchgen-cli: %w", ErrMissing)
		}
	}
	if dir, err = e.TempDir("tpch"); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, tool, "-s", fmt.Sprint(scale), "--format", "csv", "--output-dir", dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tpchgen-cli: %w\n%s", err, out)
	}
	return dir, nil
}

// FillTPCH makes the tables in a PostgreSQL database.
func (s *Server) FillTPCH(ctx context.Context, database, dir string) error {
	conn, err := s.Conn(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for i := range TPCH {
		t := &TPCH[i]
		if _, err := conn.Exec(ctx, t.Create(false)); err != nil {
			return err
		}
		f, err := os.Open(filepath.Join(dir, t.Name+".csv"))
		if err != nil {
			return err
		}
		_, err = conn.PgConn().CopyFrom(ctx, f, "COPY "+t.Name+" FROM STDIN (FORMAT csv, HEADER)")
		f.Close()
		if err != nil {
			return fmt.Errorf("fill %s: %w", t.Name, err)
		}
		if _, err := conn.Exec(ctx, "ALTER TABLE "+t.Name+" ADD PRIMARY KEY ("+t.Key+")"); err != nil {
			return err
		}
	}
	return s.Exec(ctx, database, "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT")
}

// FillTPCH makes the tables in the embedded DuckDB, as it would be used: from
// the files, without keys.
func (a *Alone) FillTPCH(ctx context.Context, dir string) error {
	for i := range TPCH {
		t := &TPCH[i]
		if _, err := a.Ask(ctx, t.Create(false)); err != nil {
			return err
		}
		if _, err := a.Ask(ctx, fmt.Sprintf("COPY %s FROM '%s' (FORMAT csv, HEADER)", t.Name, filepath.Join(dir, t.Name+".csv"))); err != nil {
			return err
		}
	}
	_, err := a.Ask(ctx, "CHECKPOINT")
	return err
}
