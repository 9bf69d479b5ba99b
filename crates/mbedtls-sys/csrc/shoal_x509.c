/*
 * Certificates: our own, the anchors of trust, and the judgement on those of
 * peers (RFC 5280, 6.1; RFC 5246, 7.2.2).
 *
 * The library builds the chain and checks its signatures. The dates are checked
 * here, against the time of the caller, and so is which of several flaws is
 * told to the peer.
 */
#include "shoal_session.h"

#include <stdlib.h>
#include <string.h>

#include "mbedtls/oid.h"
#include "mbedtls/platform.h"

struct shoal_anchors {
    mbedtls_x509_crt *first;
    int ret;
};

static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

/* Hash and signature in TLS 1.2; the curve is not a part of it there. */
static const uint16_t signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS_SIG_NONE,
};

/* SHA-512 may stand under a certificate: an authority chooses its hash by
 * itself. */
static const mbedtls_x509_crt_profile profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
};

static _Thread_local shoal_session *busy;

void shoal_enter(shoal_session *session)
{
    session->outer = busy;
    busy = session;
}

void shoal_leave(shoal_session *session)
{
    busy = session->outer;
    session->outer = NULL;
}

/* ---- what a certificate says -------------------------------------------- */

/* Seconds since 1970 of a date of the Gregorian calendar, where the year is
 * taken to begin in March, so that the leap day is the last of it. */
static int64_t unix_seconds(const mbedtls_x509_time *time)
{
    int64_t year = time->year - (time->mon <= 2);
    int64_t months = (time->mon + 9) % 12;
    int64_t days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * months + 2) / 5 +
                   time->day - 1 - 719468;

    return ((days * 24 + time->hour) * 60 + time->min) * 60 + time->sec;
}

static shoal_bytes bytes_of(const mbedtls_x509_buf *buf)
{
    shoal_bytes bytes = { buf->p, buf->len };

    return bytes;
}

static int is_same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static int is_curve_ours(const mbedtls_x509_crt *crt)
{
    mbedtls_ecp_group_id group;

    if (!mbedtls_pk_can_do(&crt->pk, MBEDTLS_PK_ECKEY)) {
        return 0;
    }
    group = mbedtls_pk_get_ec_group_id(&crt->pk);
    return group == MBEDTLS_ECP_DP_SECP256R1 || group == MBEDTLS_ECP_DP_SECP384R1;
}

static void describe(const mbedtls_x509_crt *crt, shoal_certificate *certificate)
{
    const mbedtls_x509_name *name;
    const mbedtls_x509_sequence *alternative;

    memset(certificate, 0, sizeof(*certificate));
    certificate->der = bytes_of(&crt->raw);
    certificate->subject = bytes_of(&crt->subject_raw);
    certificate->issuer = bytes_of(&crt->issuer_raw);
    certificate->serial = bytes_of(&crt->serial);
    certificate->public_key = bytes_of(&crt->pk_raw);
    for (name = &crt->subject; name != NULL; name = name->next) {
        if (name->oid.p != NULL && MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0) {
            certificate->common_name = bytes_of(&name->val);
            break;
        }
    }
    for (alternative = &crt->subject_alt_names;
         alternative != NULL && certificate->names_count < SHOAL_NAMES_MAX;
         alternative = alternative->next) {
        int tag = alternative->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;

        if (tag == SHOAL_NAME_DNS || tag == SHOAL_NAME_URI) {
            shoal_name *next = &certificate->names[certificate->names_count++];

            next->tag = tag;
            next->value = bytes_of(&alternative->buf);
        }
    }
    certificate->not_before_s = unix_seconds(&crt->valid_from);
    certificate->not_after_s = unix_seconds(&crt->valid_to);
    certificate->is_authority = crt->ca_istrue &&
                                mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0;
    certificate->is_curve_ours = is_curve_ours(crt);
}

int shoal_certificate_read(const uint8_t *der, size_t length, shoal_read_fn *read, void *context)
{
    mbedtls_x509_crt crt;
    shoal_certificate certificate;
    int ret;

    mbedtls_x509_crt_init(&crt);
    ret = mbedtls_x509_crt_parse_der(&crt, der, length);
    if (ret == 0) {
        describe(&crt, &certificate);
        read(context, &certificate);
    }
    mbedtls_x509_crt_free(&crt);
    return ret;
}

/* ---- anchors ------------------------------------------------------------ */

int shoal_anchors_add(shoal_anchors *anchors, const uint8_t *der, size_t length)
{
    if (anchors->ret == 0 && anchors->first == NULL) {
        anchors->first = mbedtls_calloc(1, sizeof(*anchors->first));
        if (anchors->first == NULL) {
            anchors->ret = MBEDTLS_ERR_X509_ALLOC_FAILED;
        } else {
            mbedtls_x509_crt_init(anchors->first);
        }
    }
    if (anchors->ret == 0) {
        anchors->ret = mbedtls_x509_crt_parse_der(anchors->first, der, length);
    }
    return anchors->ret;
}

static uint32_t date_flaws(const mbedtls_x509_crt *crt, int64_t now_s)
{
    if (now_s < unix_seconds(&crt->valid_from)) {
        return MBEDTLS_X509_BADCERT_FUTURE;
    }
    return now_s > unix_seconds(&crt->valid_to) ? MBEDTLS_X509_BADCERT_EXPIRED : 0;
}

static int is_any_valid(const mbedtls_x509_crt *crt, int64_t now_s)
{
    for (; crt != NULL; crt = crt->next) {
        if (date_flaws(crt, now_s) == 0) {
            return 1;
        }
    }
    return 0;
}

/* While an authority changes its certificate there are two with one name, maybe
 * even with one key, and the library would take the first that fits: those out
 * of date go, unless all are, which is then the reason to refuse. */
static mbedtls_x509_crt *keep_valid(mbedtls_x509_crt *list, int64_t now_s)
{
    mbedtls_x509_crt **link = &list;

    if (!is_any_valid(list, now_s)) {
        return list;
    }
    while (*link != NULL) {
        mbedtls_x509_crt *crt = *link;

        if (date_flaws(crt, now_s) == 0) {
            link = &crt->next;
            continue;
        }
        *link = crt->next;
        crt->next = NULL;
        mbedtls_x509_crt_free(crt);
        mbedtls_free(crt);
    }
    return list;
}

static int find_anchors(void *unused, const mbedtls_x509_crt *child, mbedtls_x509_crt **candidates)
{
    shoal_anchors anchors = { NULL, 0 };

    (void) unused;
    *candidates = NULL;
    busy->anchors_found = 0;
    /* The library goes on with a certificate whose signature algorithm it does
     * not know, and of which it therefore read nothing. */
    if (child->issuer_raw.len == 0) {
        return 0;
    }
    busy->config->find_anchors(busy->call->context, child->issuer_raw.p, child->issuer_raw.len,
                               &anchors);
    if (anchors.ret != 0) {
        mbedtls_x509_crt_free(anchors.first);
        mbedtls_free(anchors.first);
        return anchors.ret;
    }
    busy->anchors_found = anchors.first != NULL;
    *candidates = keep_valid(anchors.first, busy->call->now_unix_s);
    return 0;
}

/* ---- judgement ---------------------------------------------------------- */

static uint32_t usage_flaws(const mbedtls_x509_crt *crt, int is_server)
{
    const char *purpose = is_server ? MBEDTLS_OID_CLIENT_AUTH : MBEDTLS_OID_SERVER_AUTH;
    size_t purpose_bytes = is_server ? MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)
                                     : MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH);
    uint32_t flaws = 0;

    if (mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0) {
        flaws |= MBEDTLS_X509_BADCERT_KEY_USAGE;
    }
    if (mbedtls_x509_crt_check_extended_key_usage(crt, purpose, purpose_bytes) != 0) {
        flaws |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    }
    return flaws;
}

/* Whether somebody of the name is there that should have signed the last
 * certificate of the chain: then it was the signature that did not fit. */
static int is_issuer_at_hand(const shoal_session *session, const mbedtls_x509_crt *sent)
{
    const mbedtls_x509_crt *top = session->top;

    if (session->anchors_found) {
        return 1;
    }
    for (; sent != NULL; sent = sent->next) {
        if (!is_same(&sent->raw, &top->raw) && is_same(&sent->subject_raw, &top->issuer_raw)) {
            return 1;
        }
    }
    return 0;
}

/* The first that is true, in the order the library gives its alerts in. */
static int refusal_of(const shoal_session *session, const mbedtls_x509_crt *peer)
{
    uint32_t flaws = session->flaws;

    if (flaws & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY)) {
        return SHOAL_REFUSED_ALGORITHM;
    }
    if (flaws & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE)) {
        return SHOAL_REFUSED_USAGE;
    }
    if (flaws & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        return is_issuer_at_hand(session, peer) ? SHOAL_REFUSED_SIGNATURE
                                                : SHOAL_REFUSED_UNKNOWN_AUTHORITY;
    }
    if (session->top_depth > SHOAL_ISSUERS_MAX) {
        return SHOAL_REFUSED_CHAIN_TOO_LONG;
    }
    if (flaws & MBEDTLS_X509_BADCERT_EXPIRED) {
        return SHOAL_REFUSED_EXPIRED;
    }
    if (flaws & MBEDTLS_X509_BADCERT_FUTURE) {
        return SHOAL_REFUSED_NOT_YET_VALID;
    }
    return flaws ? SHOAL_REFUSED_NAME : 0;
}

/* The flag for which the library sends the alert of RFC 5246, 7.2.2. */
static uint32_t flag_of(int refusal)
{
    switch (refusal) {
        case 0:
            return 0;
        case SHOAL_REFUSED_UNKNOWN_AUTHORITY:
            return MBEDTLS_X509_BADCERT_NOT_TRUSTED; /* unknown_ca */
        case SHOAL_REFUSED_SIGNATURE:
        case SHOAL_REFUSED_NAME:
            return MBEDTLS_X509_BADCERT_CN_MISMATCH; /* bad_certificate */
        case SHOAL_REFUSED_EXPIRED:
        case SHOAL_REFUSED_NOT_YET_VALID:
            return MBEDTLS_X509_BADCERT_EXPIRED; /* certificate_expired */
        case SHOAL_REFUSED_USAGE:
        case SHOAL_REFUSED_ALGORITHM:
            return MBEDTLS_X509_BADCERT_BAD_KEY; /* unsupported_certificate */
        default:
            return MBEDTLS_X509_BADCERT_MISSING; /* certificate_unknown */
    }
}

/* Called for every certificate of the chain, the peer's own last. */
static int judge(void *p, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    shoal_session *session = p;
    shoal_certificate peer;
    shoal_bytes anchor;
    int refusal;

    if (session->top == NULL) {
        session->top = crt;
        session->top_depth = depth;
    }
    session->flaws |= *flags | date_flaws(crt, session->call->now_unix_s);
    *flags = 0;
    if (depth != 0) {
        return 0;
    }
    session->flaws |= usage_flaws(crt, session->ssl.conf->endpoint == MBEDTLS_SSL_IS_SERVER);
    refusal = refusal_of(session, crt);
    *flags = flag_of(refusal);

    describe(crt, &peer);
    anchor = bytes_of(&session->top->raw);
    session->config->judged(session->call->context, &peer, &anchor, refusal);
    session->top = NULL;
    session->flaws = 0;
    return 0;
}

void shoal_set_judge(shoal_session *session)
{
    mbedtls_ssl_set_verify(&session->ssl, judge, session);
}

/* ---- configuration ------------------------------------------------------ */

static int configure_own(shoal_config *config, const shoal_options *options)
{
    size_t i;
    int ret;

    for (i = 0; i < options->own_count; i++) {
        ret = mbedtls_x509_crt_parse_der(&config->own, options->own[i].bytes, options->own[i].length);
        if (ret != 0) {
            return ret;
        }
    }
    ret = mbedtls_pk_parse_key(&config->own_key, options->own_key, options->own_key_bytes, NULL, 0,
                               mbedtls_ctr_drbg_random, &config->random);
    if (ret == 0 && !is_curve_ours(&config->own)) {
        ret = MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE;
    }
    if (ret == 0) {
        ret = mbedtls_pk_check_pair(&config->own.pk, &config->own_key, mbedtls_ctr_drbg_random,
                                    &config->random);
    }
    return ret != 0 ? ret : mbedtls_ssl_conf_own_cert(&config->ssl, &config->own, &config->own_key);
}

int shoal_configure_x509(shoal_config *config, const shoal_options *options)
{
    config->find_anchors = options->find_anchors;
    config->judged = options->judged;
    mbedtls_ssl_conf_groups(&config->ssl, groups);
    mbedtls_ssl_conf_sig_algs(&config->ssl, signatures);
    mbedtls_ssl_conf_cert_profile(&config->ssl, &profile);
    mbedtls_ssl_conf_authmode(&config->ssl, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_cb(&config->ssl, find_anchors, NULL);
    if (options->server_name != NULL) {
        config->server_name = strdup(options->server_name);
        if (config->server_name == NULL) {
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        }
    }
    return options->own_count == 0 ? 0 : configure_own(config, options);
}
