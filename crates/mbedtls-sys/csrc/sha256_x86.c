/*
 * One block of SHA-256 (FIPS 180-4, 6.2.2) for x86-64, in place of the
 * library's own: half of the time of a handshake goes into it, and the library
 * has the instructions of Arm processors only. Which of the two is used is
 * decided once, when the program is loaded.
 */
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

/* FIPS 180-4, 4.2.2. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

#define ROTATE(x, n) (((x) >> (n)) | ((x) << (32 - (n))))

void shoal_sha256_portable(uint32_t state[8], const unsigned char data[64])
{
    uint32_t w[16];
    uint32_t s[8];

    memcpy(s, state, sizeof(s));
    for (int t = 0; t < 64; t++) {
        uint32_t *word = &w[t & 15];
        if (t < 16) {
            const unsigned char *at = data + 4 * t;
            *word = (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 | (uint32_t) at[2] << 8 | at[3];
        } else {
            uint32_t early = w[(t + 1) & 15], late = w[(t + 14) & 15];
            *word += (ROTATE(early, 7) ^ ROTATE(early, 18) ^ early >> 3) + w[(t + 9) & 15] +
                     (ROTATE(late, 17) ^ ROTATE(late, 19) ^ late >> 10);
        }
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        uint32_t one = s[7] + (ROTATE(s[4], 6) ^ ROTATE(s[4], 11) ^ ROTATE(s[4], 25)) + choice + K[t] + *word;
        uint32_t two = (ROTATE(s[0], 2) ^ ROTATE(s[0], 13) ^ ROTATE(s[0], 22)) + majority;
        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += s[i];
    }
    /* The words of a key's pad are as good as the key. */
    mbedtls_platform_zeroize(w, sizeof(w));
    mbedtls_platform_zeroize(s, sizeof(s));
}

/* The instructions keep the state as (a, b, e, f) and (c, d, g, h). */
__attribute__((target("sha,sse4.1,ssse3")))
void shoal_sha256_native(uint32_t state[8], const unsigned char data[64])
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *) state), 0xb1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *) (state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(low, high, 8);
    __m128i cdgh = _mm_blend_epi16(high, low, 0xf0);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];

#pragma GCC unroll 16
    for (int four = 0; four < 16; four++) {
        __m128i *words = &w[four & 3];
        if (four < 4) {
            *words = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *) (data + 16 * four)), big_endian);
        } else {
            __m128i last = w[(four + 3) & 3];
            __m128i sum = _mm_sha256msg1_epu32(*words, w[(four + 1) & 3]);
            sum = _mm_add_epi32(sum, _mm_alignr_epi8(last, w[(four + 2) & 3], 4));
            *words = _mm_sha256msg2_epu32(sum, last);
        }
        __m128i added = _mm_add_epi32(*words, _mm_loadu_si128((const __m128i *) (K + 4 * four)));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, added);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(added, 0x0e));
    }

    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
    low = _mm_shuffle_epi32(abef, 0x1b);
    high = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *) state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *) (state + 4), _mm_alignr_epi8(high, low, 8));
}

int shoal_sha256_has_native;

__attribute__((constructor)) static void look_at_the_processor(void)
{
    unsigned int a, b, c, d;
    int has_sse = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1) && (c & bit_SSSE3);
    shoal_sha256_has_native = has_sse && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

int mbedtls_internal_sha256_process(mbedtls_sha256_context *ctx, const unsigned char data[64])
{
    if (shoal_sha256_has_native) {
        shoal_sha256_native(ctx->MBEDTLS_PRIVATE(state), data);
    } else {
        shoal_sha256_portable(ctx->MBEDTLS_PRIVATE(state), data);
    }
    return 0;
}

#endif
