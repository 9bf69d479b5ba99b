/*
 * The library's own ECDSA under names of ours: shoal_p256.c stands in its place
 * and hands every other curve on to it. The names of what else is in that file
 * are taken already.
 */
#include "common.h"

#undef MBEDTLS_ECDSA_SIGN_ALT
#undef MBEDTLS_ECDSA_VERIFY_ALT

#define mbedtls_ecdsa_sign shoal_stock_ecdsa_sign
#define mbedtls_ecdsa_verify shoal_stock_ecdsa_verify

#define mbedtls_ecdsa_can_do shoal_stock_ecdsa_can_do
#define mbedtls_ecdsa_sign_restartable shoal_stock_ecdsa_sign_restartable
#define mbedtls_ecdsa_verify_restartable shoal_stock_ecdsa_verify_restartable
#define mbedtls_ecdsa_write_signature shoal_stock_ecdsa_write_signature
#define mbedtls_ecdsa_write_signature_restartable shoal_stock_ecdsa_write_signature_restartable
#define mbedtls_ecdsa_read_signature shoal_stock_ecdsa_read_signature
#define mbedtls_ecdsa_read_signature_restartable shoal_stock_ecdsa_read_signature_restartable
#define mbedtls_ecdsa_genkey shoal_stock_ecdsa_genkey
#define mbedtls_ecdsa_from_keypair shoal_stock_ecdsa_from_keypair
#define mbedtls_ecdsa_init shoal_stock_ecdsa_init
#define mbedtls_ecdsa_free shoal_stock_ecdsa_free

#include "ecdsa.c"
