/*
 * P-256 by AWS-LC, behind the hooks that the library has for hardware: its own
 * arithmetic takes ten times as long. Every other curve goes the library's way.
 *
 * What is secret is multiplied in constant time by AWS-LC, which needs no
 * blinding for it; the nonce of a signature comes from its own generator, mixed
 * with key and message, so that a bad generator does not betray the key. Only
 * the check of a signature, which knows no secret, takes time that depends on
 * its input. Errors are those that the library's own code would have given: why
 * a peer was refused hangs on them.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "shoal_p256.h"

#include "mbedtls/ecdh.h"
#include "mbedtls/ecdsa.h"
#include "mbedtls/platform_util.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>

/* A coordinate or a scalar, and an uncompressed point (SEC 1, 2.3.3). */
#define FIELD_BYTES 32
#define POINT_BYTES (1 + 2 * FIELD_BYTES)

static int is_scalar(const mbedtls_ecp_group *group, const mbedtls_mpi *x)
{
    return mbedtls_mpi_cmp_int(x, 1) >= 0 && mbedtls_mpi_cmp_mpi(x, &group->N) < 0;
}

/* A number below 2^256; NULL for want of memory. */
static BIGNUM *number_of(const mbedtls_mpi *x)
{
    uint8_t bytes[FIELD_BYTES];
    BIGNUM *number = NULL;

    if (mbedtls_mpi_write_binary(x, bytes, sizeof(bytes)) == 0) {
        number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    }
    mbedtls_platform_zeroize(bytes, sizeof(bytes));
    return number;
}

static int mpi_of(mbedtls_mpi *x, const BIGNUM *number)
{
    uint8_t bytes[FIELD_BYTES];

    if (!BN_bn2bin_padded(bytes, sizeof(bytes), number)) {
        return MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
    }
    return mbedtls_mpi_read_binary(x, bytes, sizeof(bytes));
}

/* `point` becomes Q, if that is on the curve and not at infinity. */
static int set_point(EC_POINT *point, const mbedtls_ecp_group *group, const mbedtls_ecp_point *Q)
{
    uint8_t bytes[POINT_BYTES];
    size_t length = 0;

    if (mbedtls_ecp_point_write_binary(group, Q, MBEDTLS_ECP_PF_UNCOMPRESSED, &length, bytes,
                                       sizeof(bytes)) != 0 ||
        length != sizeof(bytes) ||
        !EC_POINT_oct2point(EC_group_p256(), point, bytes, sizeof(bytes), NULL)) {
        return MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    return 0;
}

/* Writes d * Q, or d * G if there is no Q. */
static int multiply(const mbedtls_ecp_group *group, const mbedtls_mpi *d,
                    const mbedtls_ecp_point *Q, uint8_t bytes[POINT_BYTES])
{
    const EC_GROUP *p256 = EC_group_p256();
    EC_POINT *product = EC_POINT_new(p256);
    EC_POINT *factor = EC_POINT_new(p256);
    BIGNUM *scalar = number_of(d);
    int ret = MBEDTLS_ERR_ECP_ALLOC_FAILED;

    if (product != NULL && factor != NULL && scalar != NULL) {
        ret = Q == NULL ? 0 : set_point(factor, group, Q);
    }
    if (ret == 0 &&
        (!EC_POINT_mul(p256, product, Q == NULL ? scalar : NULL, Q == NULL ? NULL : factor,
                       Q == NULL ? NULL : scalar, NULL) ||
         EC_POINT_point2oct(p256, product, POINT_CONVERSION_UNCOMPRESSED, bytes, POINT_BYTES,
                            NULL) != POINT_BYTES)) {
        ret = MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
    }
    EC_POINT_clear_free(product);
    EC_POINT_free(factor);
    BN_clear_free(scalar);
    if (ret != 0) {
        ERR_clear_error();
    }
    return ret;
}

int mbedtls_ecdh_gen_public(mbedtls_ecp_group *group, mbedtls_mpi *d, mbedtls_ecp_point *Q,
                            shoal_random_fn *random, void *context)
{
    uint8_t bytes[POINT_BYTES];
    int ret;

    if (group->id != MBEDTLS_ECP_DP_SECP256R1) {
        return mbedtls_ecp_gen_keypair(group, d, Q, random, context);
    }
    ret = mbedtls_ecp_gen_privkey(group, d, random, context);
    if (ret == 0) {
        ret = multiply(group, d, NULL, bytes);
    }
    return ret != 0 ? ret : mbedtls_ecp_point_read_binary(group, Q, bytes, sizeof(bytes));
}

int shoal_stock_ecdh_compute_shared(mbedtls_ecp_group *group, mbedtls_mpi *z,
                                    const mbedtls_ecp_point *Q, const mbedtls_mpi *d,
                                    shoal_random_fn *random, void *context)
{
    mbedtls_ecp_point product;
    int ret;

    mbedtls_ecp_point_init(&product);
    ret = mbedtls_ecp_mul(group, &product, d, Q, random, context);
    if (ret == 0 && mbedtls_ecp_is_zero(&product)) {
        ret = MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
    }
    if (ret == 0) {
        ret = mbedtls_mpi_copy(z, &product.X);
    }
    mbedtls_ecp_point_free(&product);
    return ret;
}

int mbedtls_ecdh_compute_shared(mbedtls_ecp_group *group, mbedtls_mpi *z,
                                const mbedtls_ecp_point *Q, const mbedtls_mpi *d,
                                shoal_random_fn *random, void *context)
{
    uint8_t bytes[POINT_BYTES];
    int ret;

    if (group->id != MBEDTLS_ECP_DP_SECP256R1) {
        return shoal_stock_ecdh_compute_shared(group, z, Q, d, random, context);
    }
    if (!is_scalar(group, d)) {
        return MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    ret = multiply(group, d, Q, bytes);
    if (ret == 0) {
        ret = mbedtls_mpi_read_binary(z, bytes + 1, FIELD_BYTES);
    }
    mbedtls_platform_zeroize(bytes, sizeof(bytes));
    return ret;
}

static int sign(mbedtls_mpi *r, mbedtls_mpi *s, EC_KEY *key, const BIGNUM *d,
                const unsigned char *hash, size_t hash_bytes)
{
    ECDSA_SIG *signature;
    int ret;

    if (!EC_KEY_set_group(key, EC_group_p256()) || !EC_KEY_set_private_key(key, d)) {
        return MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    signature = ECDSA_do_sign(hash, hash_bytes, key);
    if (signature == NULL) {
        return MBEDTLS_ERR_ECP_RANDOM_FAILED;
    }
    ret = mpi_of(r, ECDSA_SIG_get0_r(signature));
    if (ret == 0) {
        ret = mpi_of(s, ECDSA_SIG_get0_s(signature));
    }
    ECDSA_SIG_free(signature);
    return ret;
}

int mbedtls_ecdsa_sign(mbedtls_ecp_group *group, mbedtls_mpi *r, mbedtls_mpi *s,
                       const mbedtls_mpi *d, const unsigned char *hash, size_t hash_bytes,
                       shoal_random_fn *random, void *context)
{
    EC_KEY *key;
    BIGNUM *scalar;
    int ret = MBEDTLS_ERR_ECP_ALLOC_FAILED;

    if (group->id != MBEDTLS_ECP_DP_SECP256R1) {
        return shoal_stock_ecdsa_sign(group, r, s, d, hash, hash_bytes, random, context);
    }
    if (!is_scalar(group, d)) {
        return MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    key = EC_KEY_new();
    scalar = number_of(d);
    if (key != NULL && scalar != NULL) {
        ret = sign(r, s, key, scalar, hash, hash_bytes);
    }
    BN_clear_free(scalar);
    EC_KEY_free(key);
    if (ret != 0) {
        ERR_clear_error();
    }
    return ret;
}

static int verify(const mbedtls_ecp_group *group, const ECDSA_SIG *signature, EC_KEY *key,
                  EC_POINT *point, const unsigned char *hash, size_t hash_bytes,
                  const mbedtls_ecp_point *Q)
{
    int ret = set_point(point, group, Q);

    if (ret != 0) {
        return ret;
    }
    if (!EC_KEY_set_group(key, EC_group_p256()) || !EC_KEY_set_public_key(key, point)) {
        return MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    return ECDSA_do_verify(hash, hash_bytes, signature, key) == 1 ? 0 : MBEDTLS_ERR_ECP_VERIFY_FAILED;
}

int mbedtls_ecdsa_verify(mbedtls_ecp_group *group, const unsigned char *hash, size_t hash_bytes,
                         const mbedtls_ecp_point *Q, const mbedtls_mpi *r, const mbedtls_mpi *s)
{
    ECDSA_SIG *signature;
    EC_KEY *key;
    EC_POINT *point;
    BIGNUM *of_r, *of_s;
    int ret = MBEDTLS_ERR_ECP_ALLOC_FAILED;

    if (group->id != MBEDTLS_ECP_DP_SECP256R1) {
        return shoal_stock_ecdsa_verify(group, hash, hash_bytes, Q, r, s);
    }
    if (!is_scalar(group, r) || !is_scalar(group, s)) {
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    }
    signature = ECDSA_SIG_new();
    key = EC_KEY_new();
    point = EC_POINT_new(EC_group_p256());
    of_r = number_of(r);
    of_s = number_of(s);
    if (signature != NULL && key != NULL && point != NULL &&
        ECDSA_SIG_set0(signature, of_r, of_s)) {
        of_r = NULL;
        of_s = NULL;
        ret = verify(group, signature, key, point, hash, hash_bytes, Q);
    }
    BN_free(of_r);
    BN_free(of_s);
    EC_POINT_free(point);
    EC_KEY_free(key);
    ECDSA_SIG_free(signature);
    if (ret != 0) {
        ERR_clear_error();
    }
    return ret;
}
