package pgsource

import (
	"encoding/binary"
	"math"

	"penstock"
)

// Decoders of the binary forms that PostgreSQL's send functions produce
// (src/backend/utils/adt/*.c, the *_send functions).

func binaryBool(v *penstock.Vector, b []byte) bool {
	if len(b) != 1 {
		return false
	}
	v.AppendBool(b[0] != 0)
	return true
}

func binaryInt16(v *penstock.Vector, b []byte) bool {
	if len(b) != 2 {
		return false
	}
	v.AppendInt16(int16(binary.BigEndian.Uint16(b)))
	return true
}

func binaryInt32(v *penstock.Vector, b []byte) bool {
	if len(b) != 4 {
		return false
	}
	v.AppendInt32(int32(binary.BigEndian.Uint32(b)))
	return true
}

func binaryInt64(v *penstock.Vector, b []byte) bool {
	if len(b) != 8 {
		return false
	}
	v.AppendInt64(int64(binary.BigEndian.Uint64(b)))
	return true
}

func binaryOID(v *penstock.Vector, b []byte) bool {
	if len(b) != 4 {
		return false
	}
	v.AppendInt64(int64(binary.BigEndian.Uint32(b)))
	return true
}

func binaryFloat32(v *penstock.Vector, b []byte) bool {
	if len(b) != 4 {
		return false
	}
	appendFloat32(v, math.Float32frombits(binary.BigEndian.Uint32(b)))
	return true
}

func binaryFloat64(v *penstock.Vector, b []byte) bool {
	if len(b) != 8 {
		return false
	}
	appendFloat64(v, math.Float64frombits(binary.BigEndian.Uint64(b)))
	return true
}

func binaryDate(v *penstock.Vector, b []byte) bool {
	if len(b) != 4 {
		return false
	}
	v.AppendInt32(fromPGDate(int32(binary.BigEndian.Uint32(b))))
	return true
}

func binaryTimestamp(v *penstock.Vector, b []byte) bool {
	if len(b) != 8 {
		return false
	}
	t, ok := fromPGTimestamp(int64(binary.BigEndian.Uint64(b)))
	if ok {
		v.AppendInt64(t)
	}
	return ok
}

// binaryTimeTZ: the zone is in seconds west of UTC.
func binaryTimeTZ(v *penstock.Vector, b []byte) bool {
	if len(b) != 12 {
		return false
	}
	v.AppendTimeTZ(int64(binary.BigEndian.Uint64(b)), -int32(binary.BigEndian.Uint32(b[8:])))
	return true
}

func binaryInterval(v *penstock.Vector, b []byte) bool {
	if len(b) != 16 {
		return false
	}
	v.AppendInterval(int32(binary.BigEndian.Uint32(b[12:])), int32(binary.BigEndian.Uint32(b[8:])), int64(binary.BigEndian.Uint64(b)))
	return true
}

func binaryUUID(v *penstock.Vector, b []byte) bool {
	if len(b) != 16 {
		return false
	}
	v.AppendUUID([16]byte(b))
	return true
}

// binaryJSONB: a version byte, then the text.
func binaryJSONB(v *penstock.Vector, b []byte) bool {
	if len(b) < 1 || b[0] != 1 {
		return false
	}
	v.AppendBytes(b[1:])
	return true
}
