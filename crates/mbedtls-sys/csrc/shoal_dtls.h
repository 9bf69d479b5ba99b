/*
 * DTLS 1.2 with pre-shared keys or certificates, without sockets and without a
 * clock.
 *
 * The caller feeds one record at a time together with the time; datagrams to
 * send and questions about keys and certificates come back through callbacks. Functions
 * that return int return 0 or a length on success and a negative Mbed TLS
 * error code otherwise. A session must not be used by two threads at once.
 */
#ifndef SHOAL_DTLS_H
#define SHOAL_DTLS_H

#include <stddef.h>
#include <stdint.h>

#define SHOAL_KEY_BYTES_MAX 64
#define SHOAL_SUITES_MAX 8
#define SHOAL_SEED_BYTES 32
#define SHOAL_MAC_BYTES 32
#define SHOAL_DIGEST_BYTES 32

/* Certificates between the peer's own and the anchor, the anchor included. */
#define SHOAL_ISSUERS_MAX 4

/* Names of a certificate that are looked at. */
#define SHOAL_NAMES_MAX 8

/* What all sessions of a server, or of one client identity, share. */
typedef struct shoal_config shoal_config;

/* A DTLS association with one peer. */
typedef struct shoal_session shoal_session;

/* A datagram is ready to be sent. `context` is that of the current call. */
typedef void shoal_send_fn(void *context, const uint8_t *datagram, size_t length);

/* Writes the key of `identity` and returns its length, or -1 if there is none. */
typedef int shoal_key_fn(void *context, const uint8_t *identity, size_t length,
                         uint8_t key[SHOAL_KEY_BYTES_MAX]);

typedef struct {
    const uint8_t *bytes;
    size_t length;
} shoal_bytes;

/* A subject alternative name (RFC 5280, 4.2.1.6), by its tag there. */
#define SHOAL_NAME_DNS 2
#define SHOAL_NAME_URI 6

typedef struct {
    int tag;
    shoal_bytes value;
} shoal_name;

/* What a certificate says. Everything is valid only while the call lasts that
 * tells of it. */
typedef struct {
    shoal_bytes der;
    shoal_bytes subject;            /* DER */
    shoal_bytes issuer;             /* DER */
    shoal_bytes serial;
    shoal_bytes public_key;         /* SubjectPublicKeyInfo, DER */
    shoal_bytes common_name;        /* the first; empty if there is none */
    shoal_name names[SHOAL_NAMES_MAX];
    size_t names_count;
    int64_t not_before_s;           /* since 1970, UTC */
    int64_t not_after_s;
    int is_authority;               /* may it sign others */
    int is_curve_ours;              /* P-256 or P-384 */
} shoal_certificate;

/* Why a certificate was refused; 0 if it was not. */
enum {
    SHOAL_REFUSED_UNKNOWN_AUTHORITY = 1,
    SHOAL_REFUSED_SIGNATURE,
    SHOAL_REFUSED_EXPIRED,
    SHOAL_REFUSED_NOT_YET_VALID,
    SHOAL_REFUSED_USAGE,
    SHOAL_REFUSED_ALGORITHM,
    SHOAL_REFUSED_CHAIN_TOO_LONG,
    SHOAL_REFUSED_NAME
};

/* The client's signature over the handshake does not fit its certificate: it
 * does not hold the key (MBEDTLS_ERR_ECP_VERIFY_FAILED). */
#define SHOAL_BAD_PROOF (-0x4E00)

/* The anchors that are being gathered. */
typedef struct shoal_anchors shoal_anchors;

/* Gives every anchor whose subject is `issuer` to shoal_anchors_add(). */
typedef void shoal_find_anchors_fn(void *context, const uint8_t *issuer, size_t length,
                                   shoal_anchors *anchors);

/* The peer's own certificate was judged; `anchor` is the last certificate of
 * the chain that was found, and the one that is trusted if `refusal` is 0. */
typedef void shoal_judged_fn(void *context, const shoal_certificate *peer,
                             const shoal_bytes *anchor, int refusal);

/* A certificate was read. */
typedef void shoal_read_fn(void *context, const shoal_certificate *certificate);

typedef struct {
    int is_server;
    size_t cid_bytes;               /* of the ids in records we receive */
    uint32_t timeout_first_ms;
    uint32_t timeout_last_ms;
    uint16_t mtu;
    const uint16_t *suites;         /* in order of preference */
    size_t suites_count;            /* at most SHOAL_SUITES_MAX */
    const uint8_t *seed;            /* SHOAL_SEED_BYTES */
    const uint8_t *identity;        /* clients with a pre-shared key only */
    size_t identity_bytes;
    const uint8_t *key;
    size_t key_bytes;
    const shoal_bytes *own;         /* own certificate and its issuers, DER */
    size_t own_count;
    const uint8_t *own_key;         /* DER: PKCS #8 or RFC 5915 */
    size_t own_key_bytes;
    const char *server_name;        /* clients only; NULL: any name is right */
    shoal_send_fn *send;
    shoal_key_fn *find_key;         /* servers only */
    shoal_find_anchors_fn *find_anchors;
    shoal_judged_fn *judged;
} shoal_options;

/*
 * What a call on a session may use while it lasts. The two buffers serve
 * sessions that gave their own back; they must have the sizes that
 * shoal_in_buffer_bytes() and shoal_out_buffer_bytes() tell.
 */
typedef struct {
    uint64_t now_ms;
    int64_t now_unix_s;             /* for the validity of certificates */
    uint8_t *in_buffer;
    uint8_t *out_buffer;
    void *context;
} shoal_call;

size_t shoal_in_buffer_bytes(void);
size_t shoal_out_buffer_bytes(void);

/* The longest plaintext that one record can bring. */
size_t shoal_plaintext_bytes_max(void);

/* HMAC-SHA256 over `input`. */
int shoal_mac(const uint8_t *secret, size_t secret_bytes,
              const uint8_t *input, size_t input_bytes,
              uint8_t mac[SHOAL_MAC_BYTES]);

/* SHA-256 of `input`. */
int shoal_digest(const uint8_t *input, size_t input_bytes, uint8_t digest[SHOAL_DIGEST_BYTES]);

/* Reads a certificate and tells what it says. */
int shoal_certificate_read(const uint8_t *der, size_t length, shoal_read_fn *read, void *context);

/* Only while a shoal_find_anchors_fn runs. */
int shoal_anchors_add(shoal_anchors *anchors, const uint8_t *der, size_t length);

/* Two calls of this function must not overlap: the library fills a static
 * table of its suites here. */
int shoal_config_new(const shoal_options *options, shoal_config **config);
void shoal_config_free(shoal_config *config);
int shoal_config_random(shoal_config *config, uint8_t *output, size_t length);

/* `cid` is NULL if connection ids are not to be used; the config must outlive
 * the session. */
int shoal_session_new(shoal_config *config, const uint8_t *cid,
                      shoal_session **session);
void shoal_session_free(shoal_session *session);

/* Begins a client's handshake, or does what is due after a timeout. */
int shoal_session_continue(shoal_session *session, const shoal_call *call);

/*
 * Takes one record and returns the length of its plaintext, or
 * MBEDTLS_ERR_SSL_WANT_READ if there is none (any more). Call again with a
 * NULL record until then: data that came too early may have waited.
 */
int shoal_session_read(shoal_session *session, const shoal_call *call,
                       const uint8_t *record, size_t record_bytes,
                       uint8_t *plaintext, size_t plaintext_bytes);

int shoal_session_write(shoal_session *session, const shoal_call *call,
                        const uint8_t *plaintext, size_t plaintext_bytes);
int shoal_session_close(shoal_session *session, const shoal_call *call);

/* Gives the buffers of an idle session back; returns whether it has none. */
int shoal_session_park(shoal_session *session);

int shoal_session_is_established(const shoal_session *session);
int shoal_session_has_cid(shoal_session *session);
int shoal_session_suite(const shoal_session *session);

/* The description of the fatal alert that ended the session. */
int shoal_session_alert(const shoal_session *session);

/* The newest sequence number received in the current epoch. */
uint64_t shoal_session_newest(const shoal_session *session);

/* The moment in milliseconds when shoal_session_continue() is due, or -1. */
int64_t shoal_session_deadline(const shoal_session *session);

/* The longest plaintext that fits into one datagram, or an error. */
int shoal_session_write_bytes_max(const shoal_session *session);

#endif /* SHOAL_DTLS_H */
