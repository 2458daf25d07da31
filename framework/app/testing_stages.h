/* testing_stages.h - the middlewares of a test that look at messages ahead of the handler and
 * behind it. One that answers later does so from a thread of its own: the test waits for it.
 * Thread: the test's. Elsewhere: the stages themselves (consume/runtime/stage.h).
 */
#ifndef WARREN_APP_TESTING_STAGES_H
#define WARREN_APP_TESTING_STAGES_H

#include "base/condition.h"
#include "consume/runtime/runtime.h"
#include "consume/runtime/stage.h"

struct testing_stages {
    struct stages stages;
    pthread_mutex_t lock; /* guards the next two */
    bool answered;
    bool settled;
    struct condition changed;
};

/** Those of @subscription. WARREN_OK or WARREN_ENOMEM. @testing must stay where it is. */
enum warren_status testing_stages_init(struct testing_stages *testing,
                                       const struct runtime_subscription *subscription,
                                       const struct job_source *source);
/** Zeroed ones are fine. */
void testing_stages_done(struct testing_stages *testing);

/** Something waits in a stage: wait for an answer. @return false: there was none for a minute */
bool testing_stages_answered(struct testing_stages *testing);
/**
 * @attempt's outcome is written: call each `after`, which may write another. @return false: one of
 * them has not settled it for a minute
 */
bool testing_stages_behind(struct testing_stages *testing, struct attempt *attempt);

#endif
