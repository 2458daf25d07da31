/* errand.c - see errand.h. */
#include "observe/errand.h"

#include "base/thread.h"

static void *run(void *arg)
{
    struct errand *errand = arg;

    errand->run(errand, errand->later);
    atomic_store(&errand->busy, false);
    return NULL;
}

void errand_run(struct errand *errand, struct http_exchange *exchange, int64_t most_ms,
                void (*what)(struct errand *errand, struct http_later *later), uint32_t number)
{
    struct warren_error error = {WARREN_OK, ""};
    struct http_later *later;

    if (atomic_load(&errand->busy)) {
        http_answer_error(exchange, 409, "another one is under way: one at a time");
        return;
    }
    if (errand->started)
        pthread_join(errand->thread, NULL);
    errand->started = false;
    later = http_answer_later(exchange, most_ms);
    if (!later) {
        http_answer_error(exchange, 503, "there is no memory");
        return;
    }
    errand->later = later;
    errand->run = what;
    errand->number = number;
    atomic_store(&errand->busy, true);
    if (thread_start(&errand->thread, "warren-errand", run, errand, &error) == WARREN_OK) {
        errand->started = true;
        return;
    }
    atomic_store(&errand->busy, false);
    http_later_error(later, 503, error.text);
}

bool errand_is_over(const struct errand *errand)
{
    return atomic_load(&errand->ending) || http_later_is_gone(errand->later);
}

void errand_done(struct errand *errand)
{
    atomic_store(&errand->ending, true);
    if (errand->started)
        pthread_join(errand->thread, NULL);
    errand->started = false;
}
