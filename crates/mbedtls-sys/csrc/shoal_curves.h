/*
 * ECDSA and ECDH over plain bytes, by the hooks and by the library itself: what
 * the tests compare. Nothing else calls these.
 *
 * A curve goes by its number of bits, 256 or 384; numbers have that many bits,
 * points are in the form of SEC 1, 2.3.3. Functions return 0 or an error of the
 * library.
 */
#ifndef SHOAL_CURVES_H
#define SHOAL_CURVES_H

#include <stddef.h>
#include <stdint.h>

int shoal_curves_sign(int bits, int is_stock, const uint8_t *d, const uint8_t *hash,
                      size_t hash_bytes, uint8_t *r, uint8_t *s);
int shoal_curves_verify(int bits, int is_stock, const uint8_t *point, size_t point_bytes,
                        const uint8_t *hash, size_t hash_bytes, const uint8_t *r,
                        const uint8_t *s);

/* Makes a key by the hook. */
int shoal_curves_key(int bits, uint8_t *d, uint8_t *point);

/* The point d * G, by the library itself. */
int shoal_curves_point(int bits, const uint8_t *d, uint8_t *point);

int shoal_curves_shared(int bits, int is_stock, const uint8_t *point, size_t point_bytes,
                        const uint8_t *d, uint8_t *z);

#endif /* SHOAL_CURVES_H */
