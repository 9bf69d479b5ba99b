/*
 * ECDSA and ECDH as the library does them, for every curve but P-256:
 * shoal_p256.c has taken the names of these functions.
 */
#ifndef SHOAL_P256_H
#define SHOAL_P256_H

#include "mbedtls/ecp.h"

typedef int shoal_random_fn(void *context, unsigned char *output, size_t length);

int shoal_stock_ecdsa_sign(mbedtls_ecp_group *group, mbedtls_mpi *r, mbedtls_mpi *s,
                           const mbedtls_mpi *d, const unsigned char *hash, size_t hash_bytes,
                           shoal_random_fn *random, void *context);
int shoal_stock_ecdsa_verify(mbedtls_ecp_group *group, const unsigned char *hash, size_t hash_bytes,
                             const mbedtls_ecp_point *Q, const mbedtls_mpi *r,
                             const mbedtls_mpi *s);

/* SEC 1, 3.3.1. */
int shoal_stock_ecdh_compute_shared(mbedtls_ecp_group *group, mbedtls_mpi *z,
                                    const mbedtls_ecp_point *Q, const mbedtls_mpi *d,
                                    shoal_random_fn *random, void *context);

#endif /* SHOAL_P256_H */
