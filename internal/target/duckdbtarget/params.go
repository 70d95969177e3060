package duckdbtarget

import (
	"context"
	"encoding/binary"
	"encoding/hex"
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
			st.destroy()
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
	integer := func(bits int) (int64, error) { return strconv.ParseInt(strings.TrimSpace(text), 10, bits) }
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
		if x, err := integer(16); err == nil {
			return duck.CreateInt16(int16(x)), nil
		}
	case duck.TypeInteger:
		if x, err := integer(32); err == nil {
			return duck.CreateInt32(int32(x)), nil
		}
	case duck.TypeBigInt:
		if x, err := integer(64); err == nil {
			return duck.CreateInt64(x), nil
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
	return st.castValue(ctx, p, text) // the engine reads it, or says why not
}

// castValue has the engine make a value of a text.
func (st *Statement) castValue(ctx context.Context, p *param, text string) (v duck.Value, err error) {
	vec := penstock.NewVector(p.result.column.Type)
	aux := st.session.police.parser
	err = aux.do(ctx, func() error {
		return aux.run("SELECT CAST(? AS "+p.name+")", []string{text}, func(res *duck.Result) {
			chunk := duck.FetchChunk(*res)
			defer duck.DestroyDataChunk(&chunk)
			column := duck.DataChunkGetVector(chunk, 0)
			readVector(duck.VectorGetData(column), duck.VectorGetValidity(column), &p.result, &vec, 1)
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
