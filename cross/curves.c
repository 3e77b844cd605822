/* P-256 and X25519 without tables of 175 kB. Compiled and linked by cross/build for x86_64 and aarch64, and there alone.
 *
 * With OPENSSL_SMALL ring's C is what every other processor gets: the same functions, with tables of a few hundred bytes. What exists only
 * beside the large tables is asked for by ring's Rust all the same, which goes by the processor and not by OPENSSL_SMALL:
 *   - a multiple of P-256's base point of which time may tell something, for signatures, where all is public: the one that tells nothing
 *     does as well;
 *   - on x86_64, X25519 by newer instructions: the general one does as well.
 *
 * RING(name) is the name as this version of ring has it in its symbols. Another version, or a ring that has the function itself, does not
 * link; nothing wrong comes out in silence.
 */
#include <stdint.h>

void RING(p256_point_mul_base)(uint64_t point[3][4], const uint64_t scalar[4]);
void RING(p256_point_mul_base_vartime)(uint64_t point[3][4], const uint64_t scalar[4]);

void RING(p256_point_mul_base_vartime)(uint64_t point[3][4], const uint64_t scalar[4]) {
    RING(p256_point_mul_base)(point, scalar);
}

#ifdef __x86_64__
void RING(x25519_scalar_mult_generic_masked)(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]);
void RING(x25519_scalar_mult_adx)(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]);

void RING(x25519_scalar_mult_adx)(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]) {
    RING(x25519_scalar_mult_generic_masked)(out, scalar, point);
}
#endif
