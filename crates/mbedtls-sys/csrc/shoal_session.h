/*
 * What a configuration and a session hold, for the files of the shim alone.
 *
 * Parking buffers and dropping records reach into structures that the library
 * keeps private; build.rs therefore insists on the version this was read for.
 */
#ifndef SHOAL_SESSION_H
#define SHOAL_SESSION_H

#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "shoal_dtls.h"

#include "mbedtls/ctr_drbg.h"
#include "mbedtls/pk.h"
#include "mbedtls/ssl.h"
#include "mbedtls/x509_crt.h"
#include "ssl_misc.h"

struct shoal_config {
    mbedtls_ssl_config ssl;
    mbedtls_ctr_drbg_context random;
    int suites[SHOAL_SUITES_MAX + 1];
    int is_stream;
    uint16_t mtu;
    size_t cid_bytes;
    shoal_send_fn *send;
    shoal_key_fn *find_key;

    mbedtls_x509_crt own;
    mbedtls_pk_context own_key;
    char *server_name;
    shoal_find_anchors_fn *find_anchors;
    shoal_judged_fn *judged;

    const void *tickets;
    shoal_seal_ticket_fn *seal_ticket;
    shoal_open_ticket_fn *open_ticket;
};

struct shoal_session {
    mbedtls_ssl_context ssl;
    shoal_config *config;

    /* Valid only while a call lasts. */
    const shoal_call *call;
    const uint8_t *record;
    size_t record_bytes;

    /* The session this thread was busy with when the call began. */
    shoal_session *outer;

    /* What is known of the peer's chain while it is judged, from the anchor
     * down to the peer's own certificate. */
    const mbedtls_x509_crt *top;
    int top_depth;
    int anchors_found;
    uint32_t flaws;
    int64_t not_after_s;

    /* The ticket in the hello that is being read. */
    const uint8_t *ticket;
    size_t ticket_bytes;

    /* Of the handshake; final once established. */
    int is_resumed;
    int has_extended_master;

    /* The retransmission timer; the library asks for two deadlines. */
    uint64_t now_ms;
    uint64_t intermediate_ms;
    uint64_t final_ms;
    int timer_is_running;

    int is_parked;
    uint8_t alert;

    /* The last identity that the peer gave has no key. */
    int is_identity_unknown;

    /* Streams only: the number of the next record, which the library keeps in a
     * buffer that is lent, and keys that took the place of the handshake's. */
    uint8_t in_counter[MBEDTLS_SSL_SEQUENCE_NUMBER_LEN];
    mbedtls_ssl_transform *renewed_in;
    mbedtls_ssl_transform *renewed_out;
};

/* Own certificate, and how those of peers are judged; in shoal_x509.c. */
int shoal_configure_x509(shoal_config *config, const shoal_options *options);

/* Has the chain of this session's peer judged by the shim. */
void shoal_set_judge(shoal_session *session);

/* Lets go of the peer's certificate, which nobody asks for after the handshake. */
void shoal_forget_certificate(shoal_session *session);

/* Sends the alert of an error where the library is silent, and gives the error
 * its name; in shoal_dtls.c. */
int shoal_tell(mbedtls_ssl_context *ssl, int ret);

/* The versions, groups and names of TLS, and a session of it; in shoal_tls.c. */
int shoal_configure_tls(shoal_config *config, const shoal_options *options);
void shoal_prepare_stream(shoal_session *session);
void shoal_free_stream(shoal_session *session);

/* The library asks for anchors without saying for which session: it is the one
 * that this thread is busy with. */
void shoal_enter(shoal_session *session);
void shoal_leave(shoal_session *session);
shoal_session *shoal_busy(void);

/* Session tickets; in shoal_tickets.c. */
void shoal_configure_tickets(shoal_config *config, const shoal_options *options);

/* Keeps what is known of the handshake, which may be over after the next call. */
void shoal_note_handshake(shoal_session *session);

/* RFC 7627, 5.3: a server that goes on from a session, but does not know the
 * extended master secret any more. */
int shoal_is_resumed_unsafely(const mbedtls_ssl_context *ssl);

#endif /* SHOAL_SESSION_H */
