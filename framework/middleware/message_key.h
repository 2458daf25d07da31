/* message_key.h - what makes two messages the same: the option `key` of idempotency.
 * Thread: any.
 */
#ifndef WARREN_MIDDLEWARE_MESSAGE_KEY_H
#define WARREN_MIDDLEWARE_MESSAGE_KEY_H

#include <warren/middleware.h>

/** Where the key is. */
struct message_key {
    enum { MESSAGE_KEY_ID, MESSAGE_KEY_HEADER, MESSAGE_KEY_HANDLER } source;
    const char *header;
};

/**
 * Read "message_id", "header NAME" or "handler"; refers to @text.
 *
 * @return WARREN_OK; WARREN_ECONFIG with @error, also if the handler of @info has no key
 */
enum warren_status message_key_read(struct message_key *key, const char *text,
                                    const struct warren_subscription_info *info,
                                    struct warren_error *error);

/** The key of @job; of length 0: it has none. */
struct warren_bytes message_key_of(const struct message_key *key, struct warren_job *job);

/** What a message without one lacks, in words. */
const char *message_key_name(const struct message_key *key);

#endif
