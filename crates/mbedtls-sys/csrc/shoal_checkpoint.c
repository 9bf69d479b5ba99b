/*
 * Established sessions as bytes, and back.
 *
 * The library ends a context when it has saved it. It writes field by field as
 * long as there is room, and ends nothing if the room was too short: so it is
 * given room for everything but the last two fields, the MTU and the protocol
 * that was chosen (none: only streams choose one), which are put behind by hand.
 * That is read from the sources of the version that build.rs insists on; a
 * session that parked its buffers needs none for it.
 */
#include "shoal_session.h"

#include <string.h>

#if !defined(MBEDTLS_SSL_ALPN)
#error "without ALPN the MTU is the last field of a saved context"
#endif
#if !defined(MBEDTLS_SSL_CONTEXT_SERIALIZATION) || !defined(MBEDTLS_SSL_PROTO_DTLS)
#error "contexts of DTLS cannot be saved in this configuration"
#endif

#define MTU_BYTES 2
#define LAST_FIELDS_BYTES (MTU_BYTES + 1)

/* RFC 6347, 4.1: the epoch, 16 bits, and the sequence number, 48 bits. */
#define EPOCH_OF_DATA 1
#define SEQUENCE_MAX ((UINT64_C(1) << 48) - 1)

int shoal_session_save(shoal_session *session, uint8_t *saved, size_t capacity)
{
    size_t needed = 0;
    int ret = mbedtls_ssl_context_save(&session->ssl, NULL, 0, &needed);

    if (ret != MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL) {
        return ret < 0 ? ret : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
    if (needed > capacity) {
        return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    }
    if (session->ssl.alpn_chosen != NULL) {
        return MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    }
    ret = mbedtls_ssl_context_save(&session->ssl, saved, needed - LAST_FIELDS_BYTES, &needed);
    if (ret != MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL) {
        return ret < 0 ? ret : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
    MBEDTLS_PUT_UINT16_BE(session->config->mtu, saved, needed - LAST_FIELDS_BYTES);
    saved[needed - 1] = 0; /* the length of the protocol's name */
    return (int) needed;
}

/* What the library believes of a saved context without a look. */
static int is_sound(const mbedtls_ssl_context *ssl, const uint8_t *cid, size_t cid_bytes)
{
    const mbedtls_ssl_transform *transform = ssl->transform;
    const mbedtls_ssl_session *session = ssl->session;

    return session->tls_version == MBEDTLS_SSL_VERSION_TLS1_2 &&
           session->endpoint == ssl->conf->endpoint &&
           session->id_len <= sizeof(session->id) &&
           session->mfl_code < MBEDTLS_SSL_MAX_FRAG_LEN_INVALID &&
           mbedtls_ssl_transform_uses_aead(transform) == 1 &&
           (transform->in_cid_len == 0 ||
            (transform->in_cid_len == cid_bytes &&
             memcmp(transform->in_cid, cid, cid_bytes) == 0));
}

/* So that no record is protected with a number, and a nonce, that was used
 * after the session was saved. */
static int skip_ahead(mbedtls_ssl_context *ssl, uint64_t records)
{
    uint64_t counter = MBEDTLS_GET_UINT64_BE(ssl->cur_out_ctr, 0);
    uint64_t next = counter & SEQUENCE_MAX;

    if (counter >> 48 != EPOCH_OF_DATA || records > SEQUENCE_MAX - next) {
        return MBEDTLS_ERR_SSL_COUNTER_WRAPPING;
    }
    MBEDTLS_PUT_UINT64_BE(counter + records, ssl->cur_out_ctr, 0);
    return 0;
}

static int load(shoal_session *session, const uint8_t *cid, const uint8_t *saved,
                size_t saved_bytes, uint64_t records_skipped)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    int ret = mbedtls_ssl_context_load(ssl, saved, saved_bytes);

    if (ret != 0) {
        return ret;
    }
    if (!is_sound(ssl, cid, session->config->cid_bytes)) {
        return MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    }
    mbedtls_ssl_set_mtu(ssl, session->config->mtu);
    ret = skip_ahead(ssl, records_skipped);
    if (ret != 0) {
        return ret;
    }
    return shoal_session_park(session) ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

int shoal_session_load(shoal_config *config, const uint8_t *cid, const uint8_t *saved,
                       size_t saved_bytes, uint64_t records_skipped, shoal_session **session)
{
    shoal_session *made = NULL;
    int ret = shoal_session_new(config, NULL, &made);

    if (ret != 0) {
        return ret;
    }
    ret = load(made, cid, saved, saved_bytes, records_skipped);
    if (ret != 0) {
        shoal_session_free(made);
        return ret;
    }
    *session = made;
    return 0;
}

uint64_t shoal_session_written(const shoal_session *session)
{
    return MBEDTLS_GET_UINT64_BE(session->ssl.cur_out_ctr, 0) & SEQUENCE_MAX;
}
