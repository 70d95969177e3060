package duckdbtarget

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

// param is a parameter of a statement.
type param struct {
	engine duck.Type
	name   string // of the type, for the engine
	result resultType
}

// describeParams fills in the parameters; the caller holds the connection.
func (st *Statement) describeParams() error {
	n := duck.NParams(st.raw)
	st.params = make([]param, n)
	for i := range n {
		if name := duck.ParameterName(st.raw, i+1); name != strconv.Itoa(int(i+1)) {
			return &penstock.SQLError{State: "42P02", Message: fmt.Sprintf("parameters are numbered from $1 on, and there is no $%d", i+1)}
		}
		t := duck.ParamLogicalType(st.raw, i+1)
		if t.Ptr == nil {
			continue
		}
		p := param{engine: duck.GetTypeId(t), result: resultTypeOf("", t)}
		p.name = p.result.column.Engine
		duck.DestroyLogicalType(&t)
		st.params[i] = p
	}
	return nil
}

// unknownParams returns the numbers of the parameters without which the engine
// cannot tell what the statement returns; none if it can.
func (st *Statement) unknownParams() map[int]bool {
	if duck.PreparedStatementColumnCount(st.raw) != 1 || duck.PreparedStatementColumnType(st.raw, 0) != duck.TypeInvalid {
		return nil
	}
	unknown := make(map[int]bool)
	for i, p := range st.params {
		if p.engine == duck.TypeInvalid {
			unknown[i+1] = true
		}
	}
	return unknown
}

// castParams returns sql with those parameters cast to a type, unless they
// stand in a cast: the engine does not see through two.
func castParams(sql string, numbers map[int]bool, to string) string {
	var b strings.Builder
	for i := 0; i < len(sql); {
		t := next(sql, i)
		if sql[i] == '$' && t.kind == tokenSymbol && t.end < len(sql) {
			digits := next(sql, t.end)
			n, err := strconv.Atoi(sql[digits.start:digits.end])
			before := b.String()
			before = strings.TrimRight(fold(before[max(0, len(before)-32):]), " \n\t")
			after := strings.TrimLeft(sql[digits.end:], " \n\t")
			if err == nil && numbers[n] && !strings.HasSuffix(before, "cast(") && !strings.HasPrefix(after, "::") {
				fmt.Fprintf(&b, "CAST($%d AS %s)", n, to)
				i = digits.end
				continue
			}
		}
		b.WriteString(sql[t.start:t.end])
		i = t.end
	}
	return b.String()
}

// Params implements penstock.Statement.
func (st *Statement) Params() []penstock.Type {
	types := make([]penstock.Type, len(st.params))
	for i, p := range st.params {
		if p.known() {
			types[i] = p.result.column.Type
		}
	}
	return types
}

// known reports whether the engine knows the parameter's type, and that is
// one that values can be made of here.
func (p *param) known() bool {
	return p.engine != duck.TypeInvalid && p.engine != duck.TypeAny && p.result.cast == ""
}

// values makes values of the parameters' own types from texts. Bound as text
// they would make the engine plan anew, with other types.
func (st *Statement) values(ctx context.Context, args []*string) (values []duck.Value, err error) {
	for i, a := range args {
		var v duck.Value
		if a == nil {
			v = duck.CreateNullValue()
		} else if v, err = st.value(ctx, &st.params[i], *a); err != nil {
			destroyValues(values)
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func destroyValues(values []duck.Value) {
	for i := range values {
		duck.DestroyValue(&values[i])
	}
}

func (st *Statement) value(ctx context.Context, p *param, text string) (duck.Value, error) {
	invalid := func() (duck.Value, error) {
		return duck.Value{}, &penstock.SQLError{State: "22P02", Message: fmt.Sprintf("invalid input for type %s: %q", p.name, text)}
	}
	integer := func(bits int) (x int64, err error) {
		if x, err = strconv.ParseInt(strings.TrimSpace(text), 10, bits); errors.Is(err, strconv.ErrRange) {
			return 0, &penstock.SQLError{State: "22003", Message: fmt.Sprintf("value %q is out of range for type %s", text, p.name)}
		}
		return x, err
	}
	if !p.known() {
		return duck.CreateVarchar(text), nil
	}
	switch p.engine {
	case duck.TypeVarchar:
		return duck.CreateVarchar(text), nil
	case duck.TypeBoolean:
		switch b := strings.ToLower(strings.TrimSpace(text)); b {
		case "t", "true", "y", "yes", "on", "1":
			return duck.CreateBool(true), nil
		case "f", "false", "n", "no", "off", "0":
			return duck.CreateBool(false), nil
		}
		return invalid()
	case duck.TypeSmallInt:
		x, err := integer(16)
		if err == nil {
			return duck.CreateInt16(int16(x)), nil
		}
		if se, ok := err.(*penstock.SQLError); ok {
			return duck.Value{}, se
		}
	case duck.TypeInteger:
		x, err := integer(32)
		if err == nil {
			return duck.CreateInt32(int32(x)), nil
		}
		if se, ok := err.(*penstock.SQLError); ok {
			return duck.Value{}, se
		}
	case duck.TypeBigInt:
		x, err := integer(64)
		if err == nil {
			return duck.CreateInt64(x), nil
		}
		if se, ok := err.(*penstock.SQLError); ok {
			return duck.Value{}, se
		}
	case duck.TypeDouble:
		if x, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
			return duck.CreateDouble(x), nil
		}
	case duck.TypeBlob:
		digits, ok := strings.CutPrefix(text, `\x`)
		b, err := hex.DecodeString(digits)
		if !ok || err != nil {
			return invalid()
		}
		return duck.CreateBlob(b), nil
	}
	if p.engine == duck.TypeDecimal {
		p = p.exactly(text)
	}
	return st.castValue(ctx, p, text) // the engine reads it, or says why not
}

// exactly returns a decimal parameter that holds a number as it is written:
// compared with a column of fewer digits it must not be rounded to them.
func (p *param) exactly(text string) *param {
	digits, fraction, _ := strings.Cut(strings.TrimLeft(strings.TrimSpace(text), "+-"), ".")
	t := p.result.column.Type
	if len(fraction) <= int(t.Scale) && len(digits) <= int(t.Precision-t.Scale) || len(digits)+len(fraction) > penstock.MaxDecimalPrecision ||
		strings.Trim(digits+fraction, "0123456789") != "" {
		return p
	}
	wide := *p
	wide.result.column.Type.Precision, wide.result.column.Type.Scale = penstock.MaxDecimalPrecision, uint8(len(fraction))
	wide.result.width = duck.TypeHugeInt
	wide.name = sqlType(wide.result.column.Type)
	return &wide
}

// castValue has the engine make a value of a text.
func (st *Statement) castValue(ctx context.Context, p *param, text string) (v duck.Value, err error) {
	vec := penstock.NewVector(p.result.column.Type)
	aux := st.session.aux
	err = aux.do(ctx, func() error {
		return aux.run("SELECT CAST(? AS "+p.name+")", []string{text}, func(res *duck.Result) {
			chunk := duck.FetchChunk(*res)
			defer duck.DestroyDataChunk(&chunk)
			column := duck.DataChunkGetVector(chunk, 0)
			readVector(duck.VectorGetData(column), duck.VectorGetValidity(column), &p.result, &vec, 0, 1)
		})
	})
	if err != nil {
		return duck.Value{}, sqlError(err)
	}
	switch p.engine {
	case duck.TypeTinyInt:
		return duck.CreateInt8(int8(vec.Int16(0))), nil
	case duck.TypeUTinyInt:
		return duck.CreateUInt8(uint8(vec.Int16(0))), nil
	case duck.TypeSmallInt:
		return duck.CreateInt16(vec.Int16(0)), nil
	case duck.TypeUSmallInt:
		return duck.CreateUInt16(uint16(vec.Int32(0))), nil
	case duck.TypeInteger:
		return duck.CreateInt32(vec.Int32(0)), nil
	case duck.TypeUInteger:
		return duck.CreateUInt32(uint32(vec.Int64(0))), nil
	case duck.TypeBigInt:
		return duck.CreateInt64(vec.Int64(0)), nil
	case duck.TypeUBigInt:
		_, lo := vec.Int128(0)
		return duck.CreateUInt64(lo), nil
	case duck.TypeHugeInt:
		hi, lo := vec.Int128(0)
		return duck.CreateHugeInt(duck.NewHugeInt(lo, hi)), nil
	case duck.TypeFloat:
		return duck.CreateFloat(vec.Float32(0)), nil
	case duck.TypeDouble:
		return duck.CreateDouble(vec.Float64(0)), nil
	case duck.TypeDecimal:
		t := vec.Type()
		hi, lo := int64(0), uint64(0)
		if t.Width() == 16 {
			hi, lo = vec.Int128(0)
		} else {
			lo = uint64(vec.Int64(0))
			hi = vec.Int64(0) >> 63
		}
		return duck.CreateDecimal(duck.NewDecimal(t.Precision, t.Scale, duck.NewHugeInt(lo, hi))), nil
	case duck.TypeDate:
		return duck.CreateDate(duck.NewDate(vec.Int32(0))), nil
	case duck.TypeTime:
		return duck.CreateTime(duck.NewTime(vec.Int64(0))), nil
	case duck.TypeTimeTZ:
		return duck.CreateTimeTZValue(duck.NewTimeTZ(packTimeTZ(vec.TimeTZ(0)))), nil
	case duck.TypeTimestamp:
		return duck.CreateTimestamp(duck.NewTimestamp(vec.Int64(0))), nil
	case duck.TypeTimestampTZ:
		return duck.CreateTimestampTZ(duck.NewTimestamp(vec.Int64(0))), nil
	case duck.TypeInterval:
		return duck.CreateInterval(duck.NewInterval(vec.Interval(0))), nil
	case duck.TypeUUID:
		u := vec.UUID(0)
		return duck.CreateUUID(duck.NewUHugeInt(binary.BigEndian.Uint64(u[8:]), binary.BigEndian.Uint64(u[:8]))), nil
	}
	return duck.CreateVarchar(text), nil
}
