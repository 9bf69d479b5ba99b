//! Our two ways to take a block into SHA-256: with the processor's instructions, and without.
#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code, reason = "the functions under test are C")]

use mbedtls_sys as _;

unsafe extern "C" {
    static shoal_sha256_has_native: i32;
    fn shoal_sha256_portable(state: *mut [u32; 8], data: *const [u8; 64]);
    fn shoal_sha256_native(state: *mut [u32; 8], data: *const [u8; 64]);
}

/// FIPS 180-4 §5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Every way this processor can go, over the same blocks.
fn digests(blocks: &[[u8; 64]]) -> Vec<[u32; 8]> {
    let (mut portable, mut native) = (INITIAL, INITIAL);
    for block in blocks {
        // SAFETY: the lengths are what the functions expect; the second only where the processor has it.
        unsafe {
            shoal_sha256_portable(&raw mut portable, block);
            if shoal_sha256_has_native != 0 {
                shoal_sha256_native(&raw mut native, block);
            } else {
                native = portable;
            }
        }
    }
    vec![portable, native]
}

/// One block that holds the whole message (FIPS 180-4 §5.1.1).
fn padded(message: &[u8]) -> [u8; 64] {
    let mut block = [0; 64];
    block[..message.len()].copy_from_slice(message);
    block[message.len()] = 0x80;
    block[56..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    block
}

#[test]
fn both_ways_give_the_digests_of_the_standard() {
    // FIPS 180-2, appendix B.1, and the digest of nothing.
    let abc = [0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad];
    let nothing = [0xe3b0c442, 0x98fc1c14, 0x9afbf4c8, 0x996fb924, 0x27ae41e4, 0x649b934c, 0xa495991b, 0x7852b855];

    assert_eq!(digests(&[padded(b"abc")]), [abc, abc]);
    assert_eq!(digests(&[padded(b"")]), [nothing, nothing]);
}

#[test]
fn both_ways_agree_on_any_blocks() {
    let mut seed = 1_u64;
    let blocks: Vec<[u8; 64]> = (0..1_000)
        .map(|_| {
            std::array::from_fn(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 56) as u8
            })
        })
        .collect();

    let found = digests(&blocks);

    assert_eq!(found[0], found[1]);
}
