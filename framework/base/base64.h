/* base64.h - bytes as text and back (RFC 4648, section 4). Thread: any. */
#ifndef WARREN_BASE_BASE64_H
#define WARREN_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/** Characters that @len bytes become, without a NUL; 0 if that is more than a size_t holds. */
size_t base64_encoded_len(size_t len);

/** Write base64_encoded_len(@len) characters and no NUL. */
void base64_encode(const void *data, size_t len, char *text);

/** Enough bytes for what @len characters stand for. */
size_t base64_decoded_max(size_t len);

/**
 * Strict: padded, nothing but the alphabet, no bit set that is not used.
 *
 * @data  room for base64_decoded_max(@len) bytes
 * @return false: @text is no base64; what @data holds means nothing
 */
bool base64_decode(const char *text, size_t len, void *data, size_t *ret_len);

#endif
