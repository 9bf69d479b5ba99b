/*
 * Our whole configuration of Mbed TLS: DTLS 1.2, TLS 1.2 and TLS 1.3 with
 * pre-shared keys or with certificates on elliptic curves, both ends. It
 * replaces the stock mbedtls_config.h, so what is not named here is off:
 * renegotiation, early data, SHA-1, RSA, every clock and every socket.
 */
#ifndef SHOAL_MBEDTLS_CONFIG_H
#define SHOAL_MBEDTLS_CONFIG_H

/* Ciphers and hashes. The tables of AES are constants, so that the first
 * session of a process does not have to build them under the eyes of others. */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AESNI_C
#if defined(__aarch64__)
#define MBEDTLS_AESCE_C
#endif
#define MBEDTLS_CCM_C
#define MBEDTLS_GCM_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_MD_C
#define MBEDTLS_SHA256_C
#if defined(__x86_64__)
#define MBEDTLS_SHA256_PROCESS_ALT /* sha256_x86.c */
#endif
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_CTR_DRBG_C

/* Elliptic curves. P-521 is there to be read and refused by name: a certificate
 * that cannot be read at all would get a less telling alert. More points of
 * the generator are worked out ahead, and kept: a handshake multiplies it three
 * times. */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED /* key exchange of TLS only */
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 1
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDH_GEN_PUBLIC_ALT /* these four: shoal_p256.c */
#define MBEDTLS_ECDH_COMPUTE_SHARED_ALT
#define MBEDTLS_ECDSA_SIGN_ALT
#define MBEDTLS_ECDSA_VERIFY_ALT

/* TLS 1.3 does its key schedule and its key exchange by the PSA interface, over
 * the modules above. A handshake holds a slot of its key store, so there must be
 * as many as there are handshakes. */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG /* shoal_tls.c */
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC
#define MBEDTLS_HKDF_C

/* Certificates, in DER. The validity dates are checked by the shim, against
 * the time of the caller; the anchors of trust are asked for by name. TLS 1.3
 * wants the peer's certificate kept; the shim lets go of it. */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_OID_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK

/* The random generator of a configuration is shared by its sessions, and they
 * may be moved between threads: it has a lock. */
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_PTHREAD

/* The protocol. */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_PROTO_DTLS
#define MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE /* RFC 8446, D.4: clients do it unasked */
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_SESSION_TICKETS /* shoal_tickets.c */
#define MBEDTLS_SSL_ENCRYPT_THEN_MAC
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#define MBEDTLS_SSL_DTLS_HELLO_VERIFY
#define MBEDTLS_SSL_DTLS_ANTI_REPLAY

/* Sessions live through a restart: shoal_checkpoint.c. */
#define MBEDTLS_SSL_CONTEXT_SERIALIZATION

/* RFC 9146, not the draft. The library would pad every record with a
 * connection id to a multiple of 16: devices pay for each byte they send. */
#define MBEDTLS_SSL_DTLS_CONNECTION_ID
#define MBEDTLS_SSL_DTLS_CONNECTION_ID_COMPAT 0
#define MBEDTLS_SSL_CID_IN_LEN_MAX 32
#define MBEDTLS_SSL_CID_OUT_LEN_MAX 32
#define MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY 1

/* RFC 4279, 5.3: keys of up to 64 bytes. */
#define MBEDTLS_PSK_MAX_LEN 64

/* The longest record we take, and the longest message of a handshake. Over TCP
 * a peer may fill a record to this (RFC 8446, 5.1), and says nothing before it
 * does. */
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384

/* The longest record we make, and the longest message of a handshake before it
 * is cut to the path MTU. */
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096

/* Handshake messages that wait for their missing parts, per session. */
#define MBEDTLS_SSL_DTLS_MAX_BUFFERING 8192

#endif /* SHOAL_MBEDTLS_CONFIG_H */
