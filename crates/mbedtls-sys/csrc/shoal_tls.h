/*
 * TLS 1.2 and 1.3 over a stream of bytes, beside what shoal_dtls.h has: a
 * configuration with `is_stream` set, and sessions of it. shoal_session_new(),
 * _free(), _is_established(), _suite() and _alert() are the same for both; the
 * others are not for streams.
 *
 * A session borrows both buffers for every call and keeps none between calls,
 * save while a message of the handshake is whole only in part.
 */
#ifndef SHOAL_TLS_H
#define SHOAL_TLS_H

#include "shoal_dtls.h"

/*
 * Takes one whole record and returns the length of its plaintext, or
 * MBEDTLS_ERR_SSL_WANT_READ if there is none (any more): call again with a NULL
 * record until then. Begins a client's handshake when it is called first, with
 * a NULL record.
 */
int shoal_stream_read(shoal_session *session, const shoal_call *call,
                      const uint8_t *record, size_t record_bytes,
                      uint8_t *plaintext, size_t plaintext_bytes);

/* Says all of `plaintext`, in as many records as it takes. */
int shoal_stream_write(shoal_session *session, const shoal_call *call,
                       const uint8_t *plaintext, size_t plaintext_bytes);

/* Goes over to new keys for what is said from now on, and asks the peer to do
 * the same (RFC 8446, 4.6.3). In TLS 1.2 there is no such thing. */
int shoal_stream_renew(shoal_session *session, const shoal_call *call);

int shoal_stream_close(shoal_session *session, const shoal_call *call);

/* 0x0303 or 0x0304, once it is agreed on. */
int shoal_stream_version(const shoal_session *session);

#endif /* SHOAL_TLS_H */
