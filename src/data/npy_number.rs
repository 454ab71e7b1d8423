//! Numbers of NPY files from their bytes.

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use super::npy_header::{NpyHeader, ValueKind};

/// How to read a number from its bytes; `None` for texts. f64 holds all types but the integers of 64 bits without
/// loss.
pub(super) fn number_reader(header: &NpyHeader) -> Option<fn(&[u8]) -> f64> {
    match header.big_endian {
        true => reader_of::<BigEndian>(header),
        false => reader_of::<LittleEndian>(header),
    }
}

fn reader_of<B: ByteOrder>(header: &NpyHeader) -> Option<fn(&[u8]) -> f64> {
    Some(match (header.kind, header.size) {
        (ValueKind::Bool, _) => |bytes| f64::from(bytes[0] != 0),
        (ValueKind::Unsigned, _) => |bytes| B::read_uint(bytes, bytes.len()) as f64,
        (ValueKind::Signed, _) => |bytes| B::read_int(bytes, bytes.len()) as f64,
        (ValueKind::Float, 2) => |bytes| widen_half(B::read_u16(bytes)).into(),
        (ValueKind::Float, 4) => |bytes| B::read_f32(bytes).into(),
        (ValueKind::Float, _) => B::read_f64,
        (ValueKind::Bytes | ValueKind::Text, _) => return None,
    })
}

/// How to read an integer from its bytes; `None` for other types.
pub(super) fn integer_reader(header: &NpyHeader) -> Option<fn(&[u8]) -> i128> {
    Some(match (header.kind, header.big_endian) {
        (ValueKind::Unsigned, false) => |b| LittleEndian::read_uint(b, b.len()).into(),
        (ValueKind::Unsigned, true) => |b| BigEndian::read_uint(b, b.len()).into(),
        (ValueKind::Signed, false) => |b| LittleEndian::read_int(b, b.len()).into(),
        (ValueKind::Signed, true) => |b| BigEndian::read_int(b, b.len()).into(),
        _ => return None,
    })
}

/// A number of IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. f32 holds each of them.
fn widen_half(bits: u16) -> f32 {
    /// 2⁻²⁴, the smallest number above 0.
    const SMALLEST: f32 = 1.0 / (1 << 24) as f32;
    let exponent = bits >> 10 & 0x1f;
    let fraction = f32::from(bits & 0x3ff);
    let size = match exponent {
        0 => fraction * SMALLEST,
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        // From the second power of two on, each doubles the steps.
        _ => (1024.0 + fraction) * SMALLEST * (1_u32 << (exponent - 1)) as f32,
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_as_the_standard_lists_it() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 1.0 / (1 << 24) as f32),
            (0x03ff, 1023.0 / (1 << 24) as f32),
            (0x0400, 1.0 / (1 << 14) as f32),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0x3c01, 1.000_976_6),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(widen_half(bits), value, "{bits:04x}");
        }
        assert!(widen_half(0x7e00).is_nan() && widen_half(0x8000).is_sign_negative());
    }
}
