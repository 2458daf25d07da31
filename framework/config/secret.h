/* secret.h - texts of the user's made fit to be printed: no password, no control byte, not long.
 * The configuration does not parse addresses (amqp/net/uri.h does), so it masks generously.
 * Thread: any.
 */
#ifndef WARREN_CONFIG_SECRET_H
#define WARREN_CONFIG_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/** A quoted word of an error text: longer ones are cut. */
#define CONFIG_WORD_SIZE 96

/**
 * Copy @text, with *** for what stands between :// and the last @ (from the beginning if there
 * is no ://), and ? for control bytes; cut to @size with "..." at the end.
 *
 * @return @out
 */
const char *config_mask(const char *text, char *out, size_t size);

/**
 * The same for a broker address: where there is no @, all that is not plainly HOST:PORT/VHOST is
 * masked too, for it may be a piece of a password.
 */
const char *config_mask_uri(const char *text, char *out, size_t size);

/** Keys such as password, api_token or client_secret; not password_file. */
bool config_key_is_secret(const char *key);

#endif
