/* condition.h - the condition variable of warren: what a wait has as its end is the monotonic
 * clock, which nobody sets. Thread: any. Owner: who has the mutex embeds one.
 */
#ifndef WARREN_BASE_CONDITION_H
#define WARREN_BASE_CONDITION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct condition {
    pthread_cond_t cond;
};

void condition_init(struct condition *condition);
void condition_done(struct condition *condition);

/** As pthread_cond_wait(3): it may return without a signal. */
void condition_wait(struct condition *condition, pthread_mutex_t *mutex);
/**
 * The same, until the microsecond @until_us of clock_monotonic() at the latest; INT64_MAX: for
 * ever.
 *
 * @return false when that has passed
 */
bool condition_wait_until_us(struct condition *condition, pthread_mutex_t *mutex, int64_t until_us);
/** The same with the millisecond @until_ms. */
bool condition_wait_until_ms(struct condition *condition, pthread_mutex_t *mutex, int64_t until_ms);

/** Wake one that waits. */
void condition_signal(struct condition *condition);
/** Wake all that wait. */
void condition_broadcast(struct condition *condition);

#endif
