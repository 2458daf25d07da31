/* testing_published.h - what a handler under test publishes: kept, and answered as the test says.
 * Thread: the test's.
 */
#ifndef WARREN_APP_TESTING_PUBLISHED_H
#define WARREN_APP_TESTING_PUBLISHED_H

#include <warren/testing.h>

#include "base/arena.h"
#include "consume/job/job.h"

struct testing_published {
    struct warren_test_published *items; /* WARREN_TEST_PUBLISHED_MAX of them */
    struct warren_test_dead_letter dead; /* of the attempt under way */
    bool is_dead;
    size_t count;
    struct arena arena; /* what they refer to */
    uint32_t attempt;   /* the one under way */
    enum warren_status status;
    enum warren_result result;
};

/** WARREN_OK or WARREN_ENOMEM. */
enum warren_status testing_published_init(struct testing_published *published);
/** A zeroed one is fine. */
void testing_published_done(struct testing_published *published);
/** Forget all messages; the answers stay. */
void testing_published_clear(struct testing_published *published);

/** A job_publish_fn: @publisher is a struct testing_published. */
job_publish_fn testing_publish;
/** A job_append_fn: the same within a transaction. */
job_append_fn testing_append;

/** What a struct relay publishes to a dead-letter exchange; @publisher as above. */
struct relay_outlet testing_outlet(struct testing_published *published);

#endif
