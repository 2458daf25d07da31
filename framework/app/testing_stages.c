/* testing_stages.c - see testing_stages.h. */
#include "app/testing_stages.h"

#define ANSWER_MAX_MS 60000

static void set(struct testing_stages *testing, bool *flag)
{
    pthread_mutex_lock(&testing->lock);
    *flag = true;
    condition_signal(&testing->changed);
    pthread_mutex_unlock(&testing->lock);
}

static void wake(void *user)
{
    struct testing_stages *testing = user;

    set(testing, &testing->answered);
}

static void settled(void *user, struct attempt *attempt)
{
    struct testing_stages *testing = user;

    (void)attempt; /* one at a time */
    set(testing, &testing->settled);
}

static bool wanted(void *user, const struct attempt *attempt)
{
    (void)user;
    (void)attempt;
    return true;
}

static const struct stages_calls calls = {wake, settled, wanted};

enum warren_status testing_stages_init(struct testing_stages *testing,
                                       const struct runtime_subscription *subscription,
                                       const struct job_source *source)
{
    pthread_mutex_init(&testing->lock, NULL);
    condition_init(&testing->changed);
    return stages_init(&testing->stages, subscription->middlewares, subscription->middleware_count,
                       source, source->definition, &calls, testing);
}

void testing_stages_done(struct testing_stages *testing)
{
    stages_done(&testing->stages);
}

/* Until @flag is set, which is taken back. @return false: it was not */
static bool wait_for(struct testing_stages *testing, bool *flag)
{
    int64_t until_ms = clock_now_ms(clock_monotonic()) + ANSWER_MAX_MS;
    bool in_time = true;
    bool came;

    pthread_mutex_lock(&testing->lock);
    while (!*flag && in_time)
        in_time = condition_wait_until_ms(&testing->changed, &testing->lock, until_ms);
    came = *flag;
    *flag = false;
    pthread_mutex_unlock(&testing->lock);
    return came;
}

bool testing_stages_answered(struct testing_stages *testing)
{
    return wait_for(testing, &testing->answered);
}

bool testing_stages_behind(struct testing_stages *testing, struct attempt *attempt)
{
    return stages_leave(&testing->stages, attempt) || wait_for(testing, &testing->settled);
}
