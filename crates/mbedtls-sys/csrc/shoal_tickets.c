/*
 * Session tickets (RFC 5077): the server keeps nothing, and what it has to know
 * of a session comes back to it, sealed, with the client's next hello. What is
 * in a ticket, and whether it is still good, is the caller's to say.
 *
 * A ticket is looked at when all of the hello was read, in the callback that
 * the library has for choosing a certificate: only then is it known whether the
 * client still uses the extended master secret (RFC 7627) and which suite will
 * be chosen. The library itself would resume at the sight of the ticket.
 */
#include "shoal_session.h"

#include <string.h>

#include "mbedtls/gcm.h"
#include "mbedtls/platform_util.h"

/* Offsets in the body of a ClientHello (RFC 6347, 4.2.1). */
#define SESSION_ID_LENGTH 34
#define AFTER_SESSION_ID_LENGTH 35

/* ---- the cipher ---------------------------------------------------------- */

static int set_key(mbedtls_gcm_context *gcm, const uint8_t key[SHOAL_TICKET_KEY_BYTES])
{
    mbedtls_gcm_init(gcm);
    return mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * SHOAL_TICKET_KEY_BYTES);
}

int shoal_seal(const uint8_t key[SHOAL_TICKET_KEY_BYTES],
               const uint8_t nonce[SHOAL_TICKET_NONCE_BYTES],
               const uint8_t *known, size_t known_bytes, uint8_t *text, size_t text_bytes,
               uint8_t tag[SHOAL_TICKET_TAG_BYTES])
{
    mbedtls_gcm_context gcm;
    int ret = set_key(&gcm, key);

    if (ret == 0) {
        ret = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, text_bytes, nonce,
                                        SHOAL_TICKET_NONCE_BYTES, known, known_bytes, text, text,
                                        SHOAL_TICKET_TAG_BYTES, tag);
    }
    mbedtls_gcm_free(&gcm);
    return ret;
}

int shoal_open(const uint8_t key[SHOAL_TICKET_KEY_BYTES],
               const uint8_t nonce[SHOAL_TICKET_NONCE_BYTES],
               const uint8_t *known, size_t known_bytes, uint8_t *text, size_t text_bytes,
               const uint8_t tag[SHOAL_TICKET_TAG_BYTES])
{
    mbedtls_gcm_context gcm;
    int ret = set_key(&gcm, key);

    if (ret == 0) {
        ret = mbedtls_gcm_auth_decrypt(&gcm, text_bytes, nonce, SHOAL_TICKET_NONCE_BYTES, known,
                                       known_bytes, tag, SHOAL_TICKET_TAG_BYTES, text, text);
    }
    mbedtls_gcm_free(&gcm);
    return ret;
}

/* ---- servers ------------------------------------------------------------- */

/* A ticket that could not be made goes out empty: the client forgets it. */
static int write_ticket(void *p, const mbedtls_ssl_session *negotiated, unsigned char *start,
                        const unsigned char *end, size_t *length, uint32_t *lifetime_s)
{
    shoal_config *config = p;
    shoal_session *session = shoal_busy();
    uint8_t nonce[SHOAL_TICKET_NONCE_BYTES];
    int sealed = -1;

    if (mbedtls_ctr_drbg_random(&config->random, nonce, sizeof(nonce)) == 0) {
        sealed = config->seal_ticket(config->tickets, session->call->context, session->call->now_ms,
                                     (uint16_t) negotiated->ciphersuite, negotiated->master, nonce,
                                     start, (size_t) (end - start), lifetime_s);
    }
    *length = sealed > 0 ? (size_t) sealed : 0;
    return 0;
}

/* Remembers where the ticket stands, until the rest of the hello was read. */
static int note_ticket(void *unused, mbedtls_ssl_session *negotiated, unsigned char *ticket,
                       size_t length)
{
    shoal_session *session = shoal_busy();

    (void) unused;
    (void) negotiated;
    session->ticket = ticket;
    session->ticket_bytes = length;
    return MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
}

static int is_offered(const mbedtls_ssl_context *ssl, int suite)
{
    /* The library has checked all lengths. */
    const unsigned char *body = ssl->in_msg + mbedtls_ssl_hs_hdr_len(ssl);
    const unsigned char *cookie = body + AFTER_SESSION_ID_LENGTH + body[SESSION_ID_LENGTH];
    const unsigned char *suites = cookie + 1 + cookie[0];
    size_t length = MBEDTLS_GET_UINT16_BE(suites, 0);
    size_t i;

    for (i = 2; i < 2 + length; i += 2) {
        if (MBEDTLS_GET_UINT16_BE(suites, i) == suite) {
            return 1;
        }
    }
    return 0;
}

/* The suite that the library will choose: the first of ours that is offered. */
static int first_choice(const mbedtls_ssl_context *ssl)
{
    const int *ours = ssl->conf->ciphersuite_list;

    while (*ours != 0 && !is_offered(ssl, *ours)) {
        ours++;
    }
    return *ours;
}

/* Whether the client brought a ticket to go on with. RFC 5246, 7.4.1.3: a session
 * keeps its suite. */
static int open_ticket(const mbedtls_ssl_context *ssl, shoal_session *session,
                       uint8_t master[SHOAL_MASTER_BYTES])
{
    const shoal_config *config = session->config;
    const uint8_t *ticket = session->ticket;

    session->ticket = NULL;
    return ticket != NULL &&
           config->open_ticket(config->tickets, session->call->context, session->call->now_ms,
                               (uint16_t) first_choice(ssl), ticket, session->ticket_bytes,
                               master) == 0;
}

/* Called when all of the hello was read, before a suite is chosen. */
static int resume(mbedtls_ssl_context *ssl)
{
    uint8_t master[SHOAL_MASTER_BYTES];
    int is_good = open_ticket(ssl, mbedtls_ssl_get_user_data_p(ssl), master);
    int ret = 0;

    if (ssl->handshake->extended_ms == MBEDTLS_SSL_EXTENDED_MS_DISABLED) {
        /* RFC 7627, 5.4: without the extension there is nothing to go on from
         * later, and (5.3) no going on from what began with it. */
        ssl->handshake->new_session_ticket = 0;
        if (is_good) {
            mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                           MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
            ret = MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
        }
    } else if (is_good) {
        memcpy(ssl->session_negotiate->master, master, sizeof(master));
        ssl->handshake->resume = 1;
        /* A ticket is good for its time, counted from the full handshake. */
        ssl->handshake->new_session_ticket = 0;
    }
    mbedtls_platform_zeroize(master, sizeof(master));
    return ret;
}

void shoal_configure_tickets(shoal_config *config, const shoal_options *options)
{
    if (!options->is_server) {
        return;
    }
    config->tickets = options->tickets;
    config->seal_ticket = options->seal_ticket;
    config->open_ticket = options->open_ticket;
    mbedtls_ssl_conf_session_tickets_cb(&config->ssl, write_ticket, note_ticket, config);
    mbedtls_ssl_conf_cert_cb(&config->ssl, resume);
}

/* ---- clients ------------------------------------------------------------- */

int shoal_session_resume(shoal_session *session, const uint8_t *saved, size_t length)
{
    mbedtls_ssl_session before;
    int ret;

    mbedtls_ssl_session_init(&before);
    ret = mbedtls_ssl_session_load(&before, saved, length);
    if (ret == 0) {
        ret = mbedtls_ssl_set_session(&session->ssl, &before);
    }
    mbedtls_ssl_session_free(&before);
    return ret;
}

int shoal_session_ticket(const shoal_session *session, uint8_t *saved, size_t capacity,
                         uint32_t *lifetime_s)
{
    const mbedtls_ssl_session *established = session->ssl.session;
    size_t length;
    int ret;

    /* RFC 5246, 7.4.1.3: a server without tickets may know a session by its id. One
     * that gives a ticket leaves the id empty (RFC 5077, 3.4). */
    if (established == NULL || (established->ticket_len == 0 && established->id_len == 0) ||
        session->is_resumed || !session->has_extended_master) {
        return 0;
    }
    *lifetime_s = established->ticket_lifetime;
    ret = mbedtls_ssl_session_save(established, saved, capacity, &length);
    return ret != 0 ? ret : (int) length;
}

/* ---- both ---------------------------------------------------------------- */

void shoal_note_handshake(shoal_session *session)
{
    const mbedtls_ssl_handshake_params *handshake = session->ssl.handshake;

    if (handshake != NULL) {
        session->is_resumed = handshake->resume;
        session->has_extended_master = handshake->extended_ms == MBEDTLS_SSL_EXTENDED_MS_ENABLED;
    }
}

int shoal_is_resumed_unsafely(const mbedtls_ssl_context *ssl)
{
    return ssl->conf->endpoint == MBEDTLS_SSL_IS_CLIENT && ssl->handshake != NULL &&
           ssl->handshake->resume && ssl->state > MBEDTLS_SSL_SERVER_HELLO &&
           ssl->state < MBEDTLS_SSL_SERVER_HELLO_VERIFY_REQUEST_SENT &&
           ssl->handshake->extended_ms == MBEDTLS_SSL_EXTENDED_MS_DISABLED;
}

int shoal_session_is_resumed(const shoal_session *session)
{
    return session->is_resumed;
}
