/* errand.c - see errand.h. */
#include "observe/errand.h"

#include "base/thread.h"

static void *run(void *arg)
{
    struct errand *errand = arg;
    struct http_later *later = errand->later;
    struct errand_answer answer = {.status = 200};

    errand->run(errand, &answer);
    /* Who has the answer may ask again. */
    atomic_store(&errand->busy, false);
    if (*answer.why)
        http_later_error(later, answer.status, answer.why);
    else
        http_later_answer(later, answer.status, answer.type, answer.body, answer.len);
    return NULL;
}

void errand_run(struct errand *errand, struct http_exchange *exchange, int64_t most_ms,
                void (*what)(struct errand *errand, struct errand_answer *answer), uint32_t number)
{
    struct warren_error error = {WARREN_OK, ""};
    struct http_later *later;

    if (atomic_load(&errand->ending)) {
        http_answer_error(exchange, 503, "the worker ends");
        return;
    }
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

void errand_end(struct errand *errand)
{
    atomic_store(&errand->ending, true);
}

void errand_done(struct errand *errand)
{
    errand_end(errand);
    if (errand->started)
        pthread_join(errand->thread, NULL);
    errand->started = false;
}
