//! Floats of 16, 32 and 64 bits.

/// The number a 32-bit float stands for: its shortest decimal. A probe that measured 21.1 must not be stored as
/// 21.100000381469727.
pub(super) fn from_single(single: f32) -> f64 {
    let exact = f64::from(single);
    if !single.is_finite() || single.fract() == 0.0 {
        return exact;
    }
    zmij::Buffer::new().format_finite(single).parse().unwrap_or(exact)
}

/// The same number in 32 bits, if whoever reads it gets the same one back: we by the rule above, others exactly.
pub(super) fn to_single(number: f64) -> Option<f32> {
    let single = number as f32;
    (f64::from(single) == number && from_single(single) == number).then_some(single)
}

/// The number a 16-bit float stands for (RFC 8949 appendix D).
pub(super) fn from_half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_those_of_the_specification() {
        // RFC 8949 appendix A.
        for (bits, number) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0x3e00, 1.5),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 0.000_061_035_156_25),
            (0xc400, -4.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(from_half(bits).to_bits(), f64::to_bits(number), "{bits:#x}");
        }
        assert!(from_half(0x7e00).is_nan() && from_half(0x8000).is_sign_negative());
    }

    #[test]
    fn a_single_means_its_shortest_decimal() {
        assert_eq!(from_single(21.1), 21.1);
        assert_eq!(from_single(16_777_216.0), 16_777_216.0);
        assert!(from_single(f32::NAN).is_nan());
    }

    #[test]
    fn only_what_everyone_reads_alike_is_written_in_32_bits() {
        assert_eq!(to_single(21.5), Some(21.5));
        assert_eq!(to_single(21.1), None);
        assert_eq!(to_single(f64::from(21.1f32)), None);
        assert_eq!(to_single(1e300), None);
    }
}
