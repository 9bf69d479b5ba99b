#include "shoal_session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "mbedtls/md.h"
#include "mbedtls/platform_util.h"

size_t shoal_in_buffer_bytes(void)
{
    return MBEDTLS_SSL_IN_BUFFER_LEN;
}

size_t shoal_out_buffer_bytes(void)
{
    return MBEDTLS_SSL_OUT_BUFFER_LEN;
}

size_t shoal_plaintext_bytes_max(void)
{
    return MBEDTLS_SSL_IN_CONTENT_LEN;
}

int shoal_mac(const uint8_t *secret, size_t secret_bytes,
              const uint8_t *input, size_t input_bytes,
              uint8_t mac[SHOAL_MAC_BYTES])
{
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);

    return mbedtls_md_hmac(sha256, secret, secret_bytes, input, input_bytes, mac);
}

int shoal_digest(const uint8_t *input, size_t input_bytes, uint8_t digest[SHOAL_DIGEST_BYTES])
{
    return mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), input, input_bytes, digest);
}

/* ---- configuration ------------------------------------------------------ */

/* The system's entropy; getentropy() gives at most 256 bytes at a time and the
 * random generator never asks for more than 48. */
static int system_entropy(void *unused, unsigned char *output, size_t length)
{
    (void) unused;
    return getentropy(output, length) == 0 ? 0 : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

/* A session is only made after the cookie was checked, without any session, by
 * the caller. The library must take the cookie as it is. */
static int accept_cookie(void *unused, const unsigned char *cookie, size_t cookie_bytes,
                         const unsigned char *peer, size_t peer_bytes)
{
    (void) unused;
    (void) cookie;
    (void) cookie_bytes;
    (void) peer;
    (void) peer_bytes;
    return 0;
}

static int write_no_cookie(void *unused, unsigned char **p, unsigned char *end,
                           const unsigned char *peer, size_t peer_bytes)
{
    (void) unused;
    (void) p;
    (void) end;
    (void) peer;
    (void) peer_bytes;
    return MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE;
}

static int find_key(void *unused, mbedtls_ssl_context *ssl, const unsigned char *identity,
                    size_t identity_bytes)
{
    shoal_session *session = mbedtls_ssl_get_user_data_p(ssl);
    uint8_t key[SHOAL_KEY_BYTES_MAX];
    int key_bytes, ret;

    (void) unused;
    key_bytes = session->config->find_key(session->call->context, identity, identity_bytes, key);
    session->is_identity_unknown = key_bytes <= 0;
    if (key_bytes <= 0) {
        return MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY;
    }
    ret = mbedtls_ssl_set_hs_psk(ssl, key, (size_t) key_bytes);
    mbedtls_platform_zeroize(key, sizeof(key));
    return ret;
}

static int configure_server(shoal_config *config, const shoal_options *options)
{
    config->find_key = options->find_key;
    mbedtls_ssl_conf_psk_cb(&config->ssl, find_key, NULL);
    mbedtls_ssl_conf_dtls_cookies(&config->ssl, write_no_cookie, accept_cookie, NULL);
    return 0;
}

static int configure_client(shoal_config *config, const shoal_options *options)
{
    if (options->key_bytes == 0) {
        return 0;
    }
    return mbedtls_ssl_conf_psk(&config->ssl, options->key, options->key_bytes,
                                options->identity, options->identity_bytes);
}

static int configure(shoal_config *config, const shoal_options *options)
{
    int endpoint = options->is_server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;
    int transport = options->is_stream ? MBEDTLS_SSL_TRANSPORT_STREAM : MBEDTLS_SSL_TRANSPORT_DATAGRAM;
    size_t i;
    int ret;

    if (options->suites_count > SHOAL_SUITES_MAX) {
        return MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    }
    ret = mbedtls_ctr_drbg_seed(&config->random, system_entropy, NULL, options->seed,
                                SHOAL_SEED_BYTES);
    if (ret != 0) {
        return ret;
    }
    ret = mbedtls_ssl_config_defaults(&config->ssl, endpoint, transport, MBEDTLS_SSL_PRESET_DEFAULT);
    if (ret != 0) {
        return ret;
    }
    mbedtls_ssl_conf_rng(&config->ssl, mbedtls_ctr_drbg_random, &config->random);

    for (i = 0; i < options->suites_count; i++) {
        config->suites[i] = options->suites[i];
    }
    config->suites[i] = 0;
    mbedtls_ssl_conf_ciphersuites(&config->ssl, config->suites);

    mbedtls_ssl_conf_handshake_timeout(&config->ssl, options->timeout_first_ms,
                                       options->timeout_last_ms);
    mbedtls_ssl_conf_dtls_anti_replay(&config->ssl, MBEDTLS_SSL_ANTI_REPLAY_ENABLED);
    mbedtls_ssl_conf_extended_master_secret(&config->ssl, MBEDTLS_SSL_EXTENDED_MS_ENABLED);
    config->is_stream = options->is_stream;
    config->mtu = options->mtu;
    config->send = options->send;

    config->cid_bytes = options->cid_bytes;
    ret = mbedtls_ssl_conf_cid(&config->ssl, options->cid_bytes, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE);
    if (ret == 0) {
        ret = shoal_configure_x509(config, options);
    }
    if (ret == 0 && options->is_stream) {
        /* A connection lasts: a new one costs a handshake. */
        mbedtls_ssl_conf_session_tickets(&config->ssl, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
        ret = shoal_configure_tls(config, options);
    } else if (ret == 0) {
        shoal_configure_tickets(config, options);
    }
    if (ret != 0) {
        return ret;
    }
    return options->is_server ? configure_server(config, options)
                              : configure_client(config, options);
}

int shoal_config_new(const shoal_options *options, shoal_config **config)
{
    shoal_config *made = calloc(1, sizeof(*made));
    int ret;

    if (made == NULL) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    mbedtls_ssl_config_init(&made->ssl);
    mbedtls_ctr_drbg_init(&made->random);
    mbedtls_x509_crt_init(&made->own);
    mbedtls_pk_init(&made->own_key);
    ret = configure(made, options);
    if (ret != 0) {
        shoal_config_free(made);
        return ret;
    }
    *config = made;
    return 0;
}

void shoal_config_free(shoal_config *config)
{
    mbedtls_ssl_config_free(&config->ssl);
    mbedtls_ctr_drbg_free(&config->random);
    mbedtls_x509_crt_free(&config->own);
    mbedtls_pk_free(&config->own_key);
    free(config->server_name);
    free(config);
}

int shoal_config_random(shoal_config *config, uint8_t *output, size_t length)
{
    return mbedtls_ctr_drbg_random(&config->random, output, length);
}

/* ---- what the library asks of a session --------------------------------- */

static int send_datagram(void *p, const unsigned char *datagram, size_t length)
{
    shoal_session *session = p;

    session->config->send(session->call->context, datagram, length);
    return (int) length;
}

static int receive_record(void *p, unsigned char *buffer, size_t capacity)
{
    shoal_session *session = p;
    size_t length = session->record_bytes;

    /* A record that is too long for the buffer is cut and then found invalid. */
    if (length > capacity) {
        length = capacity;
    }
    if (length == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(buffer, session->record, length);
    session->record = NULL;
    session->record_bytes = 0;
    return (int) length;
}

static void set_timer(void *p, uint32_t intermediate_ms, uint32_t final_ms)
{
    shoal_session *session = p;

    session->timer_is_running = final_ms != 0;
    session->intermediate_ms = session->now_ms + intermediate_ms;
    session->final_ms = session->now_ms + final_ms;
}

/* -1: cancelled, 0: running, 1: intermediate delay is over, 2: all is over. */
static int get_timer(void *p)
{
    const shoal_session *session = p;

    if (!session->timer_is_running) {
        return -1;
    }
    return (session->now_ms >= session->intermediate_ms) + (session->now_ms >= session->final_ms);
}

/* ---- sessions ----------------------------------------------------------- */

static int set_up(shoal_session *session, const uint8_t *cid)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    int ret = mbedtls_ssl_setup(ssl, &session->config->ssl);

    if (ret != 0) {
        return ret;
    }
    mbedtls_ssl_set_user_data_p(ssl, session);
    shoal_set_judge(session);
    if (ssl->conf->endpoint == MBEDTLS_SSL_IS_CLIENT) {
        ret = mbedtls_ssl_set_hostname(ssl, session->config->server_name);
        if (ret != 0) {
            return ret;
        }
    }
    if (session->config->is_stream) {
        shoal_prepare_stream(session);
        return 0;
    }
    mbedtls_ssl_set_bio(ssl, session, send_datagram, receive_record, NULL);
    mbedtls_ssl_set_timer_cb(ssl, session, set_timer, get_timer);
    mbedtls_ssl_set_mtu(ssl, session->config->mtu);
    if (cid == NULL) {
        return 0;
    }
    return mbedtls_ssl_set_cid(ssl, MBEDTLS_SSL_CID_ENABLED, cid, session->config->cid_bytes);
}

int shoal_session_new(shoal_config *config, const uint8_t *cid, shoal_session **session)
{
    shoal_session *made = calloc(1, sizeof(*made));
    int ret;

    if (made == NULL) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    made->config = config;
    mbedtls_ssl_init(&made->ssl);
    ret = set_up(made, cid);
    if (ret != 0) {
        shoal_session_free(made);
        return ret;
    }
    *session = made;
    return 0;
}

void shoal_session_free(shoal_session *session)
{
    shoal_free_stream(session);
    mbedtls_ssl_free(&session->ssl);
    free(session);
}

/* Forgets the record at hand, as if its datagram had not come. */
static void drop_record(mbedtls_ssl_context *ssl)
{
    ssl->in_left = 0;
    ssl->next_record_offset = 0;
    ssl->in_msglen = 0;
    ssl->in_hslen = 0;
    ssl->in_offt = NULL;
}

/* Every call on a session stands between begin() and end(): they lend buffers
 * to a session that has none, and take them away again. */
static void begin(shoal_session *session, const shoal_call *call)
{
    mbedtls_ssl_context *ssl = &session->ssl;

    session->call = call;
    session->now_ms = call->now_ms;
    shoal_enter(session);
    if (!session->is_parked) {
        return;
    }
    ssl->in_buf = call->in_buffer;
    ssl->out_buf = call->out_buffer;
    drop_record(ssl);
    mbedtls_ssl_reset_in_pointers(ssl);
    mbedtls_ssl_reset_out_pointers(ssl);
    mbedtls_ssl_update_out_pointers(ssl, ssl->transform_out);
}

static void end(shoal_session *session)
{
    shoal_note_handshake(session);
    shoal_leave(session);
    session->call = NULL;
    session->record = NULL;
    session->record_bytes = 0;
    if (session->is_parked) {
        session->ssl.in_buf = NULL;
        session->ssl.out_buf = NULL;
    }
}

int shoal_session_continue(shoal_session *session, const shoal_call *call)
{
    int ret;

    begin(session, call);
    ret = mbedtls_ssl_handshake(&session->ssl);
    end(session);
    return ret;
}

/*
 * While a server waits for its first ClientHello, the library gives up at any
 * record that is not new and well formed, so these are kept from it. `scratch`
 * must hold the record; the library overwrites it.
 */
static int is_unfit_for_hello(const mbedtls_ssl_context *ssl, const uint8_t *record,
                              size_t record_bytes, uint8_t *scratch, size_t scratch_bytes)
{
    if (ssl->conf->endpoint != MBEDTLS_SSL_IS_SERVER || ssl->state > MBEDTLS_SSL_CLIENT_HELLO) {
        return 0;
    }
    if (record_bytes > scratch_bytes) {
        return 1;
    }
    memcpy(scratch, record, record_bytes);
    return mbedtls_ssl_check_record(ssl, scratch, record_bytes) != 0;
}

/*
 * The alert where the library is silent, or -1 (RFC 5246, 7.2.2 and 7.4.6). The
 * state moves on before CertificateVerify is looked at; what is no error of the
 * protocol then is one of the signature.
 */
static int missing_alert(const mbedtls_ssl_context *ssl, int ret)
{
    if (ssl->conf->endpoint != MBEDTLS_SSL_IS_SERVER || ssl->handshake == NULL ||
        ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3) {
        return -1;
    }
    if (ret == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE) {
        return MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE;
    }
    if (ssl->state != MBEDTLS_SSL_CLIENT_CHANGE_CIPHER_SPEC) {
        return -1;
    }
    switch (ret) {
        case MBEDTLS_ERR_SSL_DECODE_ERROR:
            return MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR;
        case MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER:
            return MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER;
        case SHOAL_BAD_PROOF:
            return MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR;
        default:
            return -1;
    }
}

/* The errors of single modules lie above those of the protocol. */
static int is_bad_proof(const mbedtls_ssl_context *ssl, int ret)
{
    return ret < 0 && ret > MBEDTLS_ERR_SSL_CERTIFICATE_VERIFICATION_WITHOUT_HOSTNAME &&
           ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER &&
           ssl->state == MBEDTLS_SSL_CLIENT_CHANGE_CIPHER_SPEC;
}

int shoal_tell(mbedtls_ssl_context *ssl, int ret)
{
    int alert;

    if (shoal_is_resumed_unsafely(ssl)) {
        mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                       MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
        return MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
    }
    if (is_bad_proof(ssl, ret)) {
        ret = SHOAL_BAD_PROOF;
    }
    alert = missing_alert(ssl, ret);
    if (alert >= 0) {
        mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, (unsigned char) alert);
    }
    return ret;
}

static int read_once(shoal_session *session, uint8_t *plaintext, size_t plaintext_bytes)
{
    mbedtls_ssl_context *ssl = &session->ssl;
    int ret = shoal_tell(ssl, mbedtls_ssl_read(ssl, plaintext, plaintext_bytes));

    switch (ret) {
        case MBEDTLS_ERR_SSL_INVALID_RECORD:
        case MBEDTLS_ERR_SSL_UNEXPECTED_RECORD:
            /* RFC 6347, 4.1.2.7: invalid records are silently discarded. */
            drop_record(ssl);
            return MBEDTLS_ERR_SSL_WANT_READ;
        case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
            session->alert = ssl->in_msg[1];
            return ret;
        default:
            return ret;
    }
}

int shoal_session_read(shoal_session *session, const shoal_call *call,
                       const uint8_t *record, size_t record_bytes,
                       uint8_t *plaintext, size_t plaintext_bytes)
{
    int ret;

    if (is_unfit_for_hello(&session->ssl, record, record_bytes, call->in_buffer,
                           MBEDTLS_SSL_IN_BUFFER_LEN)) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    begin(session, call);
    session->record = record;
    session->record_bytes = record_bytes;
    ret = read_once(session, plaintext, plaintext_bytes);
    if (ret == MBEDTLS_ERR_SSL_WANT_READ && session->record_bytes != 0) {
        /* The timer had run out, which the library looks at first. */
        ret = read_once(session, plaintext, plaintext_bytes);
    }
    end(session);
    return ret;
}

int shoal_session_write(shoal_session *session, const shoal_call *call,
                        const uint8_t *plaintext, size_t plaintext_bytes)
{
    int ret;

    begin(session, call);
    ret = mbedtls_ssl_write(&session->ssl, plaintext, plaintext_bytes);
    end(session);
    return ret;
}

int shoal_session_close(shoal_session *session, const shoal_call *call)
{
    int ret;

    begin(session, call);
    ret = mbedtls_ssl_close_notify(&session->ssl);
    end(session);
    return ret;
}

int shoal_session_park(shoal_session *session)
{
    mbedtls_ssl_context *ssl = &session->ssl;

    if (session->is_parked) {
        return 1;
    }
    /* As long as there is a handshake, its last flight may have to be repeated. */
    if (!mbedtls_ssl_is_handshake_over(ssl) || ssl->handshake != NULL || ssl->out_left != 0 ||
        ssl->in_offt != NULL || ssl->keep_current_message) {
        return 0;
    }
    mbedtls_zeroize_and_free(ssl->in_buf, MBEDTLS_SSL_IN_BUFFER_LEN);
    mbedtls_zeroize_and_free(ssl->out_buf, MBEDTLS_SSL_OUT_BUFFER_LEN);
    ssl->in_buf = NULL;
    ssl->out_buf = NULL;
    shoal_forget_certificate(session);
    session->is_parked = 1;
    return 1;
}

/* ---- what is known of a session ----------------------------------------- */

int shoal_session_is_established(const shoal_session *session)
{
    return session->ssl.state == MBEDTLS_SSL_HANDSHAKE_OVER;
}

int shoal_session_has_cid(shoal_session *session)
{
    int enabled = MBEDTLS_SSL_CID_DISABLED;

    if (mbedtls_ssl_get_peer_cid(&session->ssl, &enabled, NULL, NULL) != 0) {
        return 0;
    }
    return enabled == MBEDTLS_SSL_CID_ENABLED;
}

int shoal_session_suite(const shoal_session *session)
{
    return mbedtls_ssl_get_ciphersuite_id_from_ssl(&session->ssl);
}

int shoal_session_alert(const shoal_session *session)
{
    return session->alert;
}

uint64_t shoal_session_newest(const shoal_session *session)
{
    return session->ssl.in_window_top;
}

int64_t shoal_session_deadline(const shoal_session *session)
{
    return session->timer_is_running ? (int64_t) session->final_ms : -1;
}

int shoal_session_write_bytes_max(const shoal_session *session)
{
    return mbedtls_ssl_get_max_out_record_payload(&session->ssl);
}
