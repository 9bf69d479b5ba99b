/*
 * TLS over a stream of bytes: what is different from DTLS.
 *
 * The library has no key update (RFC 8446, 4.6.3); it is done here, by the key
 * schedule of the library.
 */
#include "shoal_session.h"
#include "shoal_tls.h"

#include <string.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "mbedtls/platform.h"
#include "mbedtls/platform_util.h"
#include "mbedtls/psa_util.h"
#include "psa/crypto.h"
#include "ssl_tls13_keys.h"

/* RFC 8446, 4.6.3: the message, and what it may ask for. */
#define KEY_UPDATE 24
#define KEY_UPDATE_BYTES 5
#define UPDATE_NOT_REQUESTED 0
#define UPDATE_REQUESTED 1

/* RFC 8446, 5.3: of every suite there is. */
#define NONCE_BYTES 12

/* An alert that is not encrypted: header, level, description (RFC 8446, 5.1 and
 * 6). */
#define ALERT_BYTES 7

/* getentropy() gives no more at a time. */
#define ENTROPY_BYTES_MAX 256

/* RFC 8323, 8.2. */
static const char *protocols[] = { "coap", NULL };

static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

/* Where PSA has its random numbers from. */
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *unused,
                                             uint8_t *output, size_t output_bytes, size_t *written)
{
    size_t done = 0;

    (void) unused;
    while (done < output_bytes) {
        size_t part = output_bytes - done;

        if (part > ENTROPY_BYTES_MAX) {
            part = ENTROPY_BYTES_MAX;
        }
        if (getentropy(output + done, part) != 0) {
            return PSA_ERROR_INSUFFICIENT_ENTROPY;
        }
        done += part;
    }
    *written = done;
    return PSA_SUCCESS;
}

int shoal_configure_tls(shoal_config *config, const shoal_options *options)
{
    int modes = MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_ALL;

    if (psa_crypto_init() != PSA_SUCCESS) {
        return MBEDTLS_ERR_SSL_HW_ACCEL_FAILED;
    }
    if (options->is_without_exchange) {
        modes = MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK;
    } else if (options->own_count != 0) {
        modes = options->is_server ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_ALL
                                   : MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL;
    }
    mbedtls_ssl_conf_min_tls_version(&config->ssl, (mbedtls_ssl_protocol_version) options->version_min);
    mbedtls_ssl_conf_max_tls_version(&config->ssl, (mbedtls_ssl_protocol_version) options->version_max);
    mbedtls_ssl_conf_tls13_key_exchange_modes(&config->ssl, modes);
    mbedtls_ssl_conf_groups(&config->ssl, groups);
    return mbedtls_ssl_conf_alpn_protocols(&config->ssl, protocols);
}

/* ---- what the library asks of a session --------------------------------- */

/*
 * What the library says in TLS 1.3 to a ClientHello that it can do nothing with,
 * as RFC 8446, 6.2 would have it said: there is a word of its own for an
 * identity that nobody knows, and no extension is missing where none of what
 * was offered will do.
 */
static int better_alert(const shoal_session *session, int alert)
{
    const mbedtls_ssl_context *ssl = &session->ssl;

    if (ssl->state != MBEDTLS_SSL_CLIENT_HELLO || ssl->tls_version != MBEDTLS_SSL_VERSION_TLS1_3 ||
        (alert != MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE && alert != MBEDTLS_SSL_ALERT_MSG_MISSING_EXTENSION)) {
        return alert;
    }
    if (session->is_identity_unknown) {
        return MBEDTLS_SSL_ALERT_MSG_UNKNOWN_PSK_IDENTITY;
    }
    return ssl->handshake->received_extensions & MBEDTLS_SSL_EXT_MASK(SIG_ALG)
               ? MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE : alert;
}

static int send_bytes(void *p, const unsigned char *bytes, size_t length)
{
    shoal_session *session = p;
    uint8_t alert[ALERT_BYTES];

    if (length == ALERT_BYTES && bytes[0] == MBEDTLS_SSL_MSG_ALERT) {
        memcpy(alert, bytes, sizeof(alert));
        alert[ALERT_BYTES - 1] = (uint8_t) better_alert(session, alert[ALERT_BYTES - 1]);
        bytes = alert;
    }
    session->config->send(session->call->context, bytes, length);
    return (int) length;
}

static int receive_bytes(void *p, unsigned char *buffer, size_t wanted)
{
    shoal_session *session = p;
    size_t length = session->record_bytes < wanted ? session->record_bytes : wanted;

    if (length == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(buffer, session->record, length);
    session->record += length;
    session->record_bytes -= length;
    return (int) length;
}

/* ---- buffers ------------------------------------------------------------ */

void shoal_prepare_stream(shoal_session *session)
{
    mbedtls_ssl_context *ssl = &session->ssl;

    mbedtls_ssl_set_bio(ssl, session, send_bytes, receive_bytes, NULL);
    mbedtls_zeroize_and_free(ssl->in_buf, MBEDTLS_SSL_IN_BUFFER_LEN);
    mbedtls_zeroize_and_free(ssl->out_buf, MBEDTLS_SSL_OUT_BUFFER_LEN);
    ssl->in_buf = NULL;
    ssl->out_buf = NULL;
}

static void begin(shoal_session *session, const shoal_call *call)
{
    mbedtls_ssl_context *ssl = &session->ssl;

    session->call = call;
    shoal_enter(session);
    if (ssl->in_buf == NULL) {
        ssl->in_buf = call->in_buffer;
        mbedtls_ssl_reset_in_pointers(ssl);
        memcpy(ssl->in_ctr, session->in_counter, sizeof(session->in_counter));
    }
    ssl->out_buf = call->out_buffer;
    mbedtls_ssl_reset_out_pointers(ssl);
    mbedtls_ssl_update_out_pointers(ssl, ssl->transform_out);
}

/* Whether nothing that came waits in the buffer for more to come. */
static int is_at_rest(const mbedtls_ssl_context *ssl)
{
    return ssl->in_left == 0 && ssl->in_msglen == 0 && ssl->in_hslen == 0 && ssl->in_offt == NULL &&
           !ssl->keep_current_message && mbedtls_ssl_get_in_hsfraglen(ssl) == 0;
}

/* Moves what waits from the buffer that was lent to one of the session's own. */
static int keep_buffer(mbedtls_ssl_context *ssl)
{
    unsigned char *lent = ssl->in_buf;
    unsigned char *own = mbedtls_calloc(1, MBEDTLS_SSL_IN_BUFFER_LEN);

    ssl->in_buf = own;
    if (own == NULL) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    memcpy(own, lent, MBEDTLS_SSL_IN_BUFFER_LEN);
    ssl->in_ctr = own + (ssl->in_ctr - lent);
    ssl->in_hdr = own + (ssl->in_hdr - lent);
    ssl->in_cid = own + (ssl->in_cid - lent);
    ssl->in_len = own + (ssl->in_len - lent);
    ssl->in_iv = own + (ssl->in_iv - lent);
    ssl->in_msg = own + (ssl->in_msg - lent);
    if (ssl->in_offt != NULL) {
        ssl->in_offt = own + (ssl->in_offt - lent);
    }
    return 0;
}

static void free_transform(mbedtls_ssl_transform *transform)
{
    if (transform != NULL) {
        mbedtls_ssl_transform_free(transform);
        mbedtls_free(transform);
    }
}

/*
 * Lets go of what only a handshake needs. In TLS 1.3 the library keeps it, its
 * secrets too, as long as the connection lives, and a transform for TLS 1.2.
 */
static void forget_handshake(shoal_session *session)
{
    mbedtls_ssl_context *ssl = &session->ssl;

    if (ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER) {
        return;
    }
    shoal_forget_certificate(session);
    if (ssl->handshake != NULL && ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3) {
        mbedtls_ssl_handshake_wrapup_free_hs_transform(ssl);
        free_transform(ssl->transform);
        ssl->transform = NULL;
    }
}

/* Takes the buffers away again. After an error nothing is kept in them: the
 * session is over. */
static int end(shoal_session *session, int ret)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    const shoal_call *call = session->call;
    int is_over = ret < 0 && ret != MBEDTLS_ERR_SSL_WANT_READ;

    shoal_leave(session);
    session->call = NULL;
    session->record = NULL;
    session->record_bytes = 0;
    ssl->out_buf = NULL;
    forget_handshake(session);
    if (!is_over && !is_at_rest(ssl)) {
        int kept = ssl->in_buf == call->in_buffer ? keep_buffer(ssl) : 0;

        return kept != 0 ? kept : ret;
    }
    memcpy(session->in_counter, ssl->in_ctr, sizeof(session->in_counter));
    if (ssl->in_buf != call->in_buffer) {
        mbedtls_zeroize_and_free(ssl->in_buf, MBEDTLS_SSL_IN_BUFFER_LEN);
    }
    ssl->in_buf = NULL;
    return ret;
}

/* ---- key update --------------------------------------------------------- */

void shoal_free_stream(shoal_session *session)
{
    free_transform(session->renewed_in);
    free_transform(session->renewed_out);
}

/* RFC 8446, 7.2: the next secret of one direction. */
static int renew_secret(uint8_t *secret, psa_algorithm_t hash)
{
    uint8_t next[MBEDTLS_TLS1_3_MD_MAX_SIZE];
    size_t length = PSA_HASH_LENGTH(hash);
    int ret = mbedtls_ssl_tls13_hkdf_expand_label(hash, secret, length,
                                                  MBEDTLS_SSL_TLS1_3_LBL_WITH_LEN(traffic_upd),
                                                  NULL, 0, next, length);

    if (ret == 0) {
        memcpy(secret, next, length);
    }
    mbedtls_platform_zeroize(next, sizeof(next));
    return ret;
}

/* Makes the keys of one direction from its next secret. A transform has both
 * directions; that of the other is not used. */
static int make_transform(mbedtls_ssl_context *ssl, int is_clients, mbedtls_ssl_transform **made)
{
    mbedtls_ssl_tls13_application_secrets *secrets = &ssl->session->app_secrets;
    const mbedtls_ssl_ciphersuite_t *suite = mbedtls_ssl_ciphersuite_from_id(ssl->session->ciphersuite);
    psa_algorithm_t hash = mbedtls_md_psa_alg_from_type((mbedtls_md_type_t) suite->mac);
    const mbedtls_cipher_info_t *cipher = mbedtls_cipher_info_from_type((mbedtls_cipher_type_t) suite->cipher);
    mbedtls_ssl_key_set keys;
    int ret = renew_secret(is_clients ? secrets->client_application_traffic_secret_N
                                      : secrets->server_application_traffic_secret_N, hash);

    if (ret == 0) {
        ret = mbedtls_ssl_tls13_make_traffic_keys(hash, secrets->client_application_traffic_secret_N,
                                                  secrets->server_application_traffic_secret_N,
                                                  PSA_HASH_LENGTH(hash),
                                                  mbedtls_cipher_info_get_key_bitlen(cipher) / 8,
                                                  NONCE_BYTES, &keys);
    }
    if (ret != 0) {
        return ret;
    }
    *made = mbedtls_calloc(1, sizeof(**made));
    if (*made == NULL) {
        ret = MBEDTLS_ERR_SSL_ALLOC_FAILED;
    } else {
        ret = mbedtls_ssl_tls13_populate_transform(*made, ssl->conf->endpoint, suite->id, &keys, ssl);
    }
    mbedtls_platform_zeroize(&keys, sizeof(keys));
    if (ret != 0) {
        free_transform(*made);
    }
    return ret;
}

static int renew_in(shoal_session *session)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    mbedtls_ssl_transform *made;
    int ret = make_transform(ssl, ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER, &made);

    if (ret != 0) {
        return ret;
    }
    mbedtls_ssl_set_inbound_transform(ssl, made);
    free_transform(session->renewed_in);
    session->renewed_in = made;
    return 0;
}

/* Tells the peer under the old keys, then takes the new ones. */
static int renew_out(shoal_session *session, int request)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    mbedtls_ssl_transform *made;
    int ret;

    ssl->out_msgtype = MBEDTLS_SSL_MSG_HANDSHAKE;
    ssl->out_msglen = KEY_UPDATE_BYTES;
    memset(ssl->out_msg, 0, KEY_UPDATE_BYTES);
    ssl->out_msg[0] = KEY_UPDATE;
    ssl->out_msg[3] = 1;
    ssl->out_msg[4] = (unsigned char) request;
    ret = mbedtls_ssl_write_record(ssl, 1 /* and send it */);
    if (ret != 0) {
        return ret;
    }
    ret = make_transform(ssl, ssl->conf->endpoint == MBEDTLS_SSL_IS_CLIENT, &made);
    if (ret != 0) {
        return ret;
    }
    mbedtls_ssl_set_outbound_transform(ssl, made);
    free_transform(session->renewed_out);
    session->renewed_out = made;
    return 0;
}

static int is_key_update(const mbedtls_ssl_context *ssl, int ret)
{
    return ret == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE && ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER &&
           ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 &&
           ssl->in_msgtype == MBEDTLS_SSL_MSG_HANDSHAKE && ssl->in_hslen == KEY_UPDATE_BYTES &&
           ssl->in_msg[0] == KEY_UPDATE;
}

static int handle_key_update(shoal_session *session)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    int request = ssl->in_msg[4];
    int ret;

    if (request != UPDATE_NOT_REQUESTED && request != UPDATE_REQUESTED) {
        return MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
    }
    /* RFC 8446, 5.1: nothing may follow it under the old keys. */
    if (ssl->in_msglen != ssl->in_hslen) {
        return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    }
    ret = renew_in(session);
    if (ret != 0 || request == UPDATE_NOT_REQUESTED) {
        return ret;
    }
    return renew_out(session, UPDATE_NOT_REQUESTED);
}

/* ---- sessions ----------------------------------------------------------- */

/*
 * Which error of TLS 1.3 it really is: the library has one for all that fails
 * in a handshake. With a pre-shared key it is told already from the ClientHello
 * that the client holds another (RFC 8446, 4.2.11.2).
 */
static int name_error(const shoal_session *session, int ret)
{
    const mbedtls_ssl_context *ssl = &session->ssl;

    if (ssl->tls_version != MBEDTLS_SSL_VERSION_TLS1_3 || ssl->alert_reason != ret) {
        return ret;
    }
    switch (ssl->state) {
        case MBEDTLS_SSL_CLIENT_HELLO:
        case MBEDTLS_SSL_HELLO_RETRY_REQUEST:
            if (ssl->alert_type == MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR) {
                return MBEDTLS_ERR_SSL_INVALID_MAC;
            }
            switch (better_alert(session, ssl->alert_type)) {
                case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_PSK_IDENTITY:
                    return MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY;
                case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
                    return MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE;
                default:
                    return ret;
            }
        case MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY:
        case MBEDTLS_SSL_CERTIFICATE_VERIFY:
            return ret == MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE ? SHOAL_BAD_PROOF : ret;
        default:
            return ret;
    }
}

/* Over a stream a record that is wrong ends the connection, which the library
 * does without a word, as it does with what comes after the handshake and must
 * not (RFC 8446, 5 and 6.2). */
static int unsaid_alert(const mbedtls_ssl_context *ssl, int ret)
{
    if (ret == MBEDTLS_ERR_SSL_INVALID_RECORD) {
        return MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE;
    }
    /* Longer than the buffer. */
    if (ret == MBEDTLS_ERR_SSL_BAD_INPUT_DATA) {
        return MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW;
    }
    if (ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER) {
        return -1;
    }
    switch (ret) {
        case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
            return MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE;
        case MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER:
            return MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER;
        default:
            return -1;
    }
}

/*
 * RFC 8446, 4.4.4 and 7: what a server says after its Finished is under the keys
 * of the application, alerts too. The library changes over when the handshake is
 * complete; nothing but the alert that ends it is said before.
 */
static void use_keys_of_alert(mbedtls_ssl_context *ssl)
{
    int is_after_finished = ssl->state == MBEDTLS_SSL_CLIENT_CERTIFICATE ||
                            ssl->state == MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY ||
                            ssl->state == MBEDTLS_SSL_CLIENT_FINISHED;

    if (ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER && ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 &&
        is_after_finished && ssl->transform_application != NULL &&
        ssl->transform_out != ssl->transform_application) {
        mbedtls_ssl_set_outbound_transform(ssl, ssl->transform_application);
    }
}

static int shake(mbedtls_ssl_context *ssl)
{
    int ret = 0;

    while (ret == 0 && ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER) {
        use_keys_of_alert(ssl);
        ret = mbedtls_ssl_handshake_step(ssl);
    }
    return ret;
}

/*
 * An alert in the clear after keys were agreed on: of a client that gave up
 * before it had said anything under them, as clients do. What is not protected
 * may be forged; but then the connection is in the hands of who did that.
 */
static int is_clear_alert(const shoal_session *session)
{
    const mbedtls_ssl_context *ssl = &session->ssl;

    return ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 && ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER &&
           ssl->transform_in != NULL && session->record_bytes == ALERT_BYTES &&
           session->record[0] == MBEDTLS_SSL_MSG_ALERT &&
           session->record[ALERT_BYTES - 2] == MBEDTLS_SSL_ALERT_LEVEL_FATAL;
}

static int read_once(shoal_session *session, uint8_t *plaintext, size_t plaintext_bytes)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    int ret;

    if (is_clear_alert(session)) {
        session->alert = session->record[ALERT_BYTES - 1];
        return MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
    }
    ret = shake(ssl);
    if (ret == 0) {
        ret = mbedtls_ssl_read(ssl, plaintext, plaintext_bytes);
    }
    while (is_key_update(ssl, ret)) {
        ret = handle_key_update(session);
        if (ret == 0) {
            ret = mbedtls_ssl_read(ssl, plaintext, plaintext_bytes);
        }
    }
    if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        session->alert = ssl->in_msg[1];
    }
    return ret;
}

static int read_and_tell(shoal_session *session, uint8_t *plaintext, size_t plaintext_bytes)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    int ret = read_once(session, plaintext, plaintext_bytes);
    int alert = unsaid_alert(ssl, ret);

    if (alert >= 0) {
        mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, (unsigned char) alert);
    }
    return name_error(session, shoal_tell(ssl, ret));
}

int shoal_stream_read(shoal_session *session, const shoal_call *call,
                      const uint8_t *record, size_t record_bytes,
                      uint8_t *plaintext, size_t plaintext_bytes)
{
    begin(session, call);
    session->record = record;
    session->record_bytes = record_bytes;
    return end(session, read_and_tell(session, plaintext, plaintext_bytes));
}

int shoal_stream_write(shoal_session *session, const shoal_call *call,
                       const uint8_t *plaintext, size_t plaintext_bytes)
{
    int ret = 0;

    begin(session, call);
    while (plaintext_bytes > 0) {
        ret = mbedtls_ssl_write(&session->ssl, plaintext, plaintext_bytes);
        if (ret <= 0) {
            break;
        }
        plaintext += ret;
        plaintext_bytes -= (size_t) ret;
    }
    return end(session, ret < 0 ? ret : 0);
}

int shoal_stream_renew(shoal_session *session, const shoal_call *call)
{
    int ret = 0;

    begin(session, call);
    if (session->ssl.tls_version == MBEDTLS_SSL_VERSION_TLS1_3) {
        ret = renew_out(session, UPDATE_REQUESTED);
    }
    return end(session, ret);
}

int shoal_stream_close(shoal_session *session, const shoal_call *call)
{
    begin(session, call);
    return end(session, mbedtls_ssl_close_notify(&session->ssl));
}

int shoal_stream_version(const shoal_session *session)
{
    return (int) session->ssl.tls_version;
}
