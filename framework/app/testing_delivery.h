/* testing_delivery.h - the message that a test built, as the consumer would bring it. Thread: any.
 */
#ifndef WARREN_APP_TESTING_DELIVERY_H
#define WARREN_APP_TESTING_DELIVERY_H

#include <warren/testing.h>

#include "base/arena.h"

struct attempt;

/**
 * @texts  knows the lengths of texts in @message that hold a NUL; NULL: none does
 * @queue  the routing key, unless @message has one
 * @marks  that its attempt has; see attempt_room()
 * @return as warren_test_deliver(); attempt_free() frees it
 */
enum warren_status testing_delivery_new(const struct warren_test_message *message,
                                        const struct arena *texts, const char *queue, size_t marks,
                                        struct attempt **ret_attempt, struct warren_error *error);

/** warren_test_new() by hand: a transactional handler may run without any chain, too, and keys are
 * not remembered. */
enum warren_status testing_new(const struct warren_test_options *options,
                               struct warren_test **ret_test, struct warren_error *error);

/** What knows the lengths of the texts of all that was published; as arena_bytes(). */
const struct arena *testing_texts(const struct warren_test *test);

/** warren_test_deliver() of a message whose texts @texts knows, as above. */
enum warren_status testing_deliver(struct warren_test *test,
                                   const struct warren_test_message *message,
                                   const struct arena *texts, struct warren_error *error);

#endif
