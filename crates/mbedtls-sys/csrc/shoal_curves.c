#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "shoal_curves.h"
#include "shoal_p256.h"

#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "mbedtls/ecdh.h"
#include "mbedtls/ecdsa.h"

/* One computation: a curve, up to three numbers and a point. */
typedef struct {
    mbedtls_ecp_group group;
    mbedtls_mpi d, r, s;
    mbedtls_ecp_point point;
    size_t bytes;
} computation;

static int system_random(void *unused, unsigned char *output, size_t length)
{
    (void) unused;
    return getentropy(output, length) == 0 ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

static int start(computation *of, int bits)
{
    mbedtls_ecp_group_init(&of->group);
    mbedtls_mpi_init(&of->d);
    mbedtls_mpi_init(&of->r);
    mbedtls_mpi_init(&of->s);
    mbedtls_ecp_point_init(&of->point);
    of->bytes = (size_t) bits / 8;
    return mbedtls_ecp_group_load(&of->group, bits == 256 ? MBEDTLS_ECP_DP_SECP256R1
                                                          : MBEDTLS_ECP_DP_SECP384R1);
}

static int finish(computation *of, int ret)
{
    mbedtls_ecp_group_free(&of->group);
    mbedtls_mpi_free(&of->d);
    mbedtls_mpi_free(&of->r);
    mbedtls_mpi_free(&of->s);
    mbedtls_ecp_point_free(&of->point);
    return ret;
}

static int write_point(computation *of, uint8_t *point)
{
    size_t length;

    return mbedtls_ecp_point_write_binary(&of->group, &of->point, MBEDTLS_ECP_PF_UNCOMPRESSED,
                                          &length, point, 1 + 2 * of->bytes);
}

int shoal_curves_sign(int bits, int is_stock, const uint8_t *d, const uint8_t *hash,
                      size_t hash_bytes, uint8_t *r, uint8_t *s)
{
    computation of;
    int ret = start(&of, bits);

    if (ret == 0) {
        ret = mbedtls_mpi_read_binary(&of.d, d, of.bytes);
    }
    if (ret == 0) {
        ret = (is_stock ? shoal_stock_ecdsa_sign : mbedtls_ecdsa_sign)(
            &of.group, &of.r, &of.s, &of.d, hash, hash_bytes, system_random, NULL);
    }
    if (ret == 0) {
        ret = mbedtls_mpi_write_binary(&of.r, r, of.bytes);
    }
    if (ret == 0) {
        ret = mbedtls_mpi_write_binary(&of.s, s, of.bytes);
    }
    return finish(&of, ret);
}

int shoal_curves_verify(int bits, int is_stock, const uint8_t *point, size_t point_bytes,
                        const uint8_t *hash, size_t hash_bytes, const uint8_t *r,
                        const uint8_t *s)
{
    computation of;
    int ret = start(&of, bits);

    if (ret == 0) {
        ret = mbedtls_ecp_point_read_binary(&of.group, &of.point, point, point_bytes);
    }
    if (ret == 0) {
        ret = mbedtls_mpi_read_binary(&of.r, r, of.bytes);
    }
    if (ret == 0) {
        ret = mbedtls_mpi_read_binary(&of.s, s, of.bytes);
    }
    if (ret == 0) {
        ret = (is_stock ? shoal_stock_ecdsa_verify : mbedtls_ecdsa_verify)(
            &of.group, hash, hash_bytes, &of.point, &of.r, &of.s);
    }
    return finish(&of, ret);
}

int shoal_curves_key(int bits, uint8_t *d, uint8_t *point)
{
    computation of;
    int ret = start(&of, bits);

    if (ret == 0) {
        ret = mbedtls_ecdh_gen_public(&of.group, &of.d, &of.point, system_random, NULL);
    }
    if (ret == 0) {
        ret = mbedtls_mpi_write_binary(&of.d, d, of.bytes);
    }
    if (ret == 0) {
        ret = write_point(&of, point);
    }
    return finish(&of, ret);
}

int shoal_curves_point(int bits, const uint8_t *d, uint8_t *point)
{
    computation of;
    int ret = start(&of, bits);

    if (ret == 0) {
        ret = mbedtls_mpi_read_binary(&of.d, d, of.bytes);
    }
    if (ret == 0) {
        ret = mbedtls_ecp_mul(&of.group, &of.point, &of.d, &of.group.G, system_random, NULL);
    }
    if (ret == 0) {
        ret = write_point(&of, point);
    }
    return finish(&of, ret);
}

int shoal_curves_shared(int bits, int is_stock, const uint8_t *point, size_t point_bytes,
                        const uint8_t *d, uint8_t *z)
{
    computation of;
    int ret = start(&of, bits);

    if (ret == 0) {
        ret = mbedtls_ecp_point_read_binary(&of.group, &of.point, point, point_bytes);
    }
    if (ret == 0) {
        ret = mbedtls_mpi_read_binary(&of.d, d, of.bytes);
    }
    if (ret == 0) {
        ret = (is_stock ? shoal_stock_ecdh_compute_shared : mbedtls_ecdh_compute_shared)(
            &of.group, &of.r, &of.point, &of.d, system_random, NULL);
    }
    if (ret == 0) {
        ret = mbedtls_mpi_write_binary(&of.r, z, of.bytes);
    }
    return finish(&of, ret);
}
