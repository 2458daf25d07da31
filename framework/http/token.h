/* token.h - the word that a request must know ("Authorization: Bearer WORD"). Of the word itself
 * nothing is kept but a hash, and hashes are compared, in a time that tells nothing.
 * Thread: as its owner.
 */
#ifndef WARREN_HTTP_TOKEN_H
#define WARREN_HTTP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include <warren/status.h>

/** Bytes of the word, which is the first line of its file. */
#define HTTP_TOKEN_MAX 4096

struct http_token {
    uint8_t hash[32]; /* SHA-256 */
};

/**
 * Read the first line of a file into @text; spaces at its end are no part of it.
 *
 * @return WARREN_OK, or WARREN_ECONFIG with @error: it cannot be read, is empty, or too long
 */
enum warren_status http_token_read(const char *file, char text[HTTP_TOKEN_MAX + 1],
                                   struct warren_error *error);

/** The same for who compares. WARREN_OK; WARREN_ECONFIG, WARREN_ENOMEM with @error. */
enum warren_status http_token_load(const char *file, struct http_token *ret,
                                   struct warren_error *error);

/** Does the value of a header Authorization (NULL: there is none) know it? */
bool http_token_is_known(const struct http_token *token, const char *authorization);

#endif
