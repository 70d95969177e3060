package verify

import (
	"strings"
	"testing"

	"penstock"
)

func TestText(t *testing.T) {
	t.Parallel()
	vector := func(ty penstock.Type, add func(v *penstock.Vector)) *penstock.Vector {
		v := penstock.NewVector(ty)
		add(&v)
		return &v
	}
	of := func(k penstock.TypeKind) penstock.Type { return penstock.Type{Kind: k} }
	number := func(p, s uint8) penstock.Type {
		return penstock.Type{Kind: penstock.TypeDecimal, Precision: p, Scale: s}
	}
	for want, v := range map[string]*penstock.Vector{
		"true":                   vector(of(penstock.TypeBool), func(v *penstock.Vector) { v.AppendBool(true) }),
		"-7":                     vector(of(penstock.TypeInt16), func(v *penstock.Vector) { v.AppendInt16(-7) }),
		"0.1":                    vector(of(penstock.TypeFloat32), func(v *penstock.Vector) { v.AppendFloat32(0.1) }),
		"-0.05":                  vector(number(4, 2), func(v *penstock.Vector) { v.AppendInt64(-5) }),
		"12345":                  vector(number(9, 0), func(v *penstock.Vector) { v.AppendInt64(12345) }),
		"-0.3":                   vector(number(38, 1), func(v *penstock.Vector) { v.AppendInt128(-1, 1<<64-3) }),
		"1844674407370955.1616":  vector(number(38, 4), func(v *penstock.Vector) { v.AppendInt128(1, 0) }),
		`\x00ff`:                 vector(of(penstock.TypeBytes), func(v *penstock.Vector) { v.AppendString("\x00\xff") }),
		"1969-12-31":             vector(of(penstock.TypeDate), func(v *penstock.Vector) { v.AppendInt32(-1) }),
		"0001-12-31 BC":          vector(of(penstock.TypeDate), func(v *penstock.Vector) { v.AppendInt32(-719163) }),
		"-infinity":              vector(of(penstock.TypeDate), func(v *penstock.Vector) { v.AppendInt32(-penstock.DateInfinity) }),
		"24:00:00":               vector(of(penstock.TypeTime), func(v *penstock.Vector) { v.AppendInt64(86_400_000_000) }),
		"00:00:01.5-05:30":       vector(of(penstock.TypeTimeTZ), func(v *penstock.Vector) { v.AppendTimeTZ(1_500_000, -19_800) }),
		"1970-01-01 00:00:00.5":  vector(of(penstock.TypeTimestamp), func(v *penstock.Vector) { v.AppendInt64(500_000) }),
		"1970-01-01 00:00:01+00": vector(of(penstock.TypeTimestampTZ), func(v *penstock.Vector) { v.AppendInt64(1_000_000) }),
		"infinity":               vector(of(penstock.TypeTimestamp), func(v *penstock.Vector) { v.AppendInt64(penstock.TimestampInfinity) }),
		"1 months -2 days -00:00:03": vector(of(penstock.TypeInterval), func(v *penstock.Vector) {
			v.AppendInterval(1, -2, -3_000_000)
		}),
		"00112233-4455-6677-8899-aabbccddeeff": vector(of(penstock.TypeUUID), func(v *penstock.Vector) {
			v.AppendUUID([16]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff})
		}),
		`{"a": 1}`:                     vector(of(penstock.TypeJSON), func(v *penstock.Vector) { v.AppendString(`{"a": 1}`) }),
		strings.Repeat("ä", 100) + "…": vector(of(penstock.TypeText), func(v *penstock.Vector) { v.AppendString(strings.Repeat("ä", 300)) }),
	} {
		if got := textOf(v, 0); got == nil || *got != want {
			t.Errorf("%s: got %q, want %q", v.Type(), *got, want)
		}
	}
	if got := textOf(vector(of(penstock.TypeText), (*penstock.Vector).AppendNull), 0); got != nil {
		t.Errorf("null is %q", *got)
	}
}
