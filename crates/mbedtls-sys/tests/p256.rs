//! P-256 by AWS-LC beside Mbed TLS's own arithmetic: both must say the same to everything, errors included.
#![allow(unsafe_code, reason = "the functions under test are C")]

use mbedtls_sys as _;

unsafe extern "C" {
    fn shoal_curves_sign(
        bits: i32,
        is_stock: i32,
        d: *const u8,
        hash: *const u8,
        hash_bytes: usize,
        r: *mut u8,
        s: *mut u8,
    ) -> i32;
    fn shoal_curves_verify(
        bits: i32,
        is_stock: i32,
        point: *const u8,
        point_bytes: usize,
        hash: *const u8,
        hash_bytes: usize,
        r: *const u8,
        s: *const u8,
    ) -> i32;
    fn shoal_curves_key(bits: i32, d: *mut u8, point: *mut u8) -> i32;
    fn shoal_curves_point(bits: i32, d: *const u8, point: *mut u8) -> i32;
    fn shoal_curves_shared(
        bits: i32,
        is_stock: i32,
        point: *const u8,
        point_bytes: usize,
        d: *const u8,
        z: *mut u8,
    ) -> i32;
}

/// `MBEDTLS_ERR_ECP_VERIFY_FAILED`
const VERIFY_FAILED: i32 = -0x4E00;
/// `MBEDTLS_ERR_ECP_INVALID_KEY`
const INVALID_KEY: i32 = -0x4C80;

/// How many random cases a comparison makes.
const CASES: usize = 100;

/// SEC 2 §2.4.2: the order of the group and the prime of the field, with their neighbours.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const ORDER_LESS_1: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550";
const ORDER_MORE_1: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552";
const PRIME: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const PRIME_LESS_1: &str = "ffffffff00000001000000000000000000000000fffffffffffffffffffffffe";
const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const ONE: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const LARGEST: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// RFC 6979 §A.2.5: a key and its point.
const KEY: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const POINT: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

/// The same clause: hash, r and s. The hashes are shorter than the order, as long and longer (SHA-1, SHA-256, SHA-384);
/// one r and one s begin with zero bits.
const SIGNATURES: [[&str; 3]; 4] = [
    [
        "8151325dcdbae9e0ff95f9f9658432dbedfdb209",
        "61340c88c3aaebeb4f6d667f672ca9759a6ccaa9fa8811313039ee4a35471d32",
        "6d7f147dac089441bb2e2fe8f7a3fa264b9c475098fdcf6e00d7c996e1b8b7eb",
    ],
    [
        "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ],
    [
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    ],
    [
        "9a9083505bc92276aec4be312696ef7bf3bf603f4bbd381196a029f340585312313bca4a9b5b890efee42c77b1ee25fe",
        "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719",
        "4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954",
    ],
];

/// RFC 5903 §8.1: the key of one side, the point of the other, and what they share.
const EXCHANGE: [&str; 3] = [
    "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
    "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
    "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
];

/// Who computes.
#[derive(Debug, Clone, Copy)]
enum By {
    Hook,
    Stock,
}

const BOTH: [By; 2] = [By::Hook, By::Stock];

/// A signature: r and s.
type Signature = (Vec<u8>, Vec<u8>);

#[test]
fn the_signatures_of_the_standard_are_right_to_both() {
    for [hash, r, s] in SIGNATURES {
        for by in BOTH {
            assert_eq!(verify(256, by, &hex(POINT), &hex(hash), &(hex(r), hex(s))), 0, "{by:?} {hash}");
        }
    }
}

#[test]
fn the_shared_secret_of_the_standard_is_the_same_for_both() {
    let [d, point, secret] = EXCHANGE;
    for by in BOTH {
        assert_eq!(shared(256, by, &hex(point), &hex(d)), Ok(hex(secret)), "{by:?}");
    }
}

#[test]
fn what_one_signs_the_other_takes_and_nobody_takes_anything_else() {
    let mut random = Random(1);
    for bits in [256, 384] {
        for case in 0..CASES / 4 {
            let (d, point) = key(bits);
            let hash = random.bytes([0, 20, 32, 48, 64][case % 5]);
            for (signer, checker) in [(By::Hook, By::Stock), (By::Stock, By::Hook)] {
                let (r, s) = sign(bits, signer, &d, &hash).unwrap();

                assert_eq!(verify(bits, checker, &point, &hash, &(r.clone(), s.clone())), 0, "{bits} {signer:?}");
                let bit = random.below(r.len() * 8);
                for forged in [(flipped(&r, bit), s.clone()), (r.clone(), flipped(&s, bit))] {
                    for by in BOTH {
                        assert_eq!(verify(bits, by, &point, &hash, &forged), VERIFY_FAILED, "{bits} {by:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_signature_out_of_range_fails_and_so_does_one_that_only_looks_right() {
    let [hash, r, s] = SIGNATURES[1];
    let edges = [ZERO, ONE, ORDER_LESS_1, ORDER, ORDER_MORE_1, PRIME, LARGEST];
    let pairs = edges.iter().flat_map(|edge| [(r, *edge), (*edge, s)]).chain([(ZERO, ZERO), (ORDER, ORDER), (s, r)]);
    for (r, s) in pairs {
        for by in BOTH {
            assert_eq!(verify(256, by, &hex(POINT), &hex(hash), &(hex(r), hex(s))), VERIFY_FAILED, "{by:?} {r} {s}");
        }
    }
}

#[test]
fn a_point_that_is_none_is_refused_as_a_key() {
    let [hash, r, s] = SIGNATURES[1];
    let uncompressed = |x: &str, y: &str| [&[4][..], &hex(x), &hex(y)].concat();
    let mut off_curve = hex(POINT);
    off_curve[64] ^= 1;
    for point in [
        vec![0], // infinity
        off_curve,
        uncompressed(ZERO, ZERO),
        uncompressed(ONE, ONE),
        uncompressed(PRIME, PRIME_LESS_1),
        uncompressed(LARGEST, LARGEST),
    ] {
        for by in BOTH {
            assert_eq!(verify(256, by, &point, &hex(hash), &(hex(r), hex(s))), INVALID_KEY, "{by:?} {point:02x?}");
            assert_eq!(shared(256, by, &point, &hex(KEY)), Err(INVALID_KEY), "{by:?} {point:02x?}");
        }
    }
}

#[test]
fn a_private_key_out_of_range_is_refused() {
    let [_, point, _] = EXCHANGE;
    for d in [ZERO, ORDER, ORDER_MORE_1, LARGEST] {
        for by in BOTH {
            assert_eq!(sign(256, by, &hex(d), &[1; 32]), Err(INVALID_KEY), "{by:?} {d}");
            assert_eq!(shared(256, by, &hex(point), &hex(d)), Err(INVALID_KEY), "{by:?} {d}");
        }
    }
    for d in [ONE, ORDER_LESS_1] {
        let public = point_of(256, &hex(d));
        let signature = sign(256, By::Hook, &hex(d), &[1; 32]).unwrap();
        assert_eq!(verify(256, By::Stock, &public, &[1; 32], &signature), 0, "{d}");
        assert_eq!(shared(256, By::Hook, &hex(point), &hex(d)), shared(256, By::Stock, &hex(point), &hex(d)));
    }
}

#[test]
fn keys_are_pairs_and_both_sides_share_one_secret() {
    for bits in [256, 384] {
        for _ in 0..CASES / 4 {
            let ((d, point), (other_d, other_point)) = (key(bits), key(bits));

            assert_eq!(point, point_of(bits, &d));
            let secret = shared(bits, By::Hook, &other_point, &d);
            assert_eq!(secret, shared(bits, By::Stock, &point, &other_d));
            assert!(secret.is_ok());
        }
    }
}

#[test]
fn leading_zeros_of_a_secret_and_of_a_coordinate_stay() {
    let point = hex(EXCHANGE[1]);
    let (mut secrets, mut coordinates) = (0, 0);
    // One in 256 begins with a zero.
    for number in 1..2_000_u32 {
        let mut d = hex(ZERO);
        d[28..].copy_from_slice(&number.to_be_bytes());
        let secret = shared(256, By::Hook, &point, &d).unwrap();
        if secret[0] == 0 {
            assert_eq!(shared(256, By::Stock, &point, &d), Ok(secret));
            secrets += 1;
        }
        if secrets < 3 || coordinates < 3 {
            let public = point_of(256, &d);
            if public[1] == 0 || public[33] == 0 {
                let signature = sign(256, By::Stock, &d, &[7; 32]).unwrap();
                assert_eq!(verify(256, By::Hook, &public, &[7; 32], &signature), 0);
                coordinates += 1;
            }
        }
    }
    assert!(secrets >= 1 && coordinates >= 1, "{secrets} secrets, {coordinates} coordinates");
}

fn verify(bits: i32, by: By, point: &[u8], hash: &[u8], (r, s): &Signature) -> i32 {
    assert_eq!((r.len() * 8, s.len() * 8), (bits as usize, bits as usize));
    // SAFETY: every pointer is valid for its length, r and s for that of the curve.
    unsafe {
        shoal_curves_verify(
            bits,
            by as i32,
            point.as_ptr(),
            point.len(),
            hash.as_ptr(),
            hash.len(),
            r.as_ptr(),
            s.as_ptr(),
        )
    }
}

fn sign(bits: i32, by: By, d: &[u8], hash: &[u8]) -> Result<Signature, i32> {
    let (mut r, mut s) = (vec![0; d.len()], vec![0; d.len()]);
    // SAFETY: every pointer is valid for its length, d, r and s for that of the curve.
    let code = unsafe {
        shoal_curves_sign(bits, by as i32, d.as_ptr(), hash.as_ptr(), hash.len(), r.as_mut_ptr(), s.as_mut_ptr())
    };
    if code == 0 { Ok((r, s)) } else { Err(code) }
}

fn shared(bits: i32, by: By, point: &[u8], d: &[u8]) -> Result<Vec<u8>, i32> {
    let mut z = vec![0; d.len()];
    // SAFETY: as above.
    let code = unsafe { shoal_curves_shared(bits, by as i32, point.as_ptr(), point.len(), d.as_ptr(), z.as_mut_ptr()) };
    if code == 0 { Ok(z) } else { Err(code) }
}

/// A new private key and its point.
fn key(bits: i32) -> (Vec<u8>, Vec<u8>) {
    let bytes = bits as usize / 8;
    let (mut d, mut point) = (vec![0; bytes], vec![0; 1 + 2 * bytes]);
    // SAFETY: as above.
    assert_eq!(unsafe { shoal_curves_key(bits, d.as_mut_ptr(), point.as_mut_ptr()) }, 0);
    (d, point)
}

/// The point of a private key, by Mbed TLS.
fn point_of(bits: i32, d: &[u8]) -> Vec<u8> {
    let mut point = vec![0; 1 + 2 * d.len()];
    // SAFETY: as above.
    assert_eq!(unsafe { shoal_curves_point(bits, d.as_ptr(), point.as_mut_ptr()) }, 0);
    point
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}
