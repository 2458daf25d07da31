/* policy_rig.h - a job and options that the test makes, in place of the worker's: what retry,
 * breaker and rate_limit ask and tell. Time is the test's.
 */
#ifndef TESTS_UNIT_MIDDLEWARE_POLICY_RIG_H
#define TESTS_UNIT_MIDDLEWARE_POLICY_RIG_H

#include <warren/middleware.h>

#include "base/arena.h"
#include "base/middleware_own.h"
#include "support/test.h"

/* ---- texts that hold a NUL ---- */

static struct arena rig_texts;

struct arena *job_arena(struct warren_job *job)
{
    (void)job;
    return &rig_texts;
}

struct warren_bytes warren_job_text(const struct warren_job *job, const char *text)
{
    (void)job;
    return arena_bytes(&rig_texts, text);
}

/* ---- options: the table's fallbacks, and what the test gives instead ---- */

struct warren_options {
    const struct warren_option *table;
    const char *const *given; /* name, value, name, value, NULL; may be NULL */
};

static inline const char *rig_option(const struct warren_options *options, const char *name,
                                     const struct warren_option **ret_row)
{
    const struct warren_option *row = options->table;

    while (row->name && strcmp(row->name, name) != 0)
        row++;
    if (!row->name)
        fail_msg("there is no option %s", name);
    *ret_row = row;
    for (const char *const *given = options->given; given && *given; given += 2) {
        if (strcmp(*given, name) == 0)
            return given[1];
    }
    if (!row->fallback)
        fail_msg("option %s must be given", name);
    return row->fallback;
}

bool warren_options_bool(const struct warren_options *options, const char *name)
{
    const struct warren_option *row;
    const char *text = rig_option(options, name, &row);

    assert_int_equal(row->type, WARREN_OPTION_BOOL);
    return strcmp(text, "true") == 0;
}

const char *warren_options_text(const struct warren_options *options, const char *name)
{
    const struct warren_option *row;
    const char *text = rig_option(options, name, &row);

    assert_true(row->type == WARREN_OPTION_STRING || row->type == WARREN_OPTION_ENUM);
    if (row->type == WARREN_OPTION_ENUM)
        assert_non_null(strstr(row->choices, text));
    return text;
}

int64_t warren_options_int(const struct warren_options *options, const char *name)
{
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"", 1}};
    const struct warren_option *row;
    const char *text = rig_option(options, name, &row);
    char *end;
    int64_t number = strtoll(text, &end, 10);
    size_t unit = 0;

    assert_true(row->type == WARREN_OPTION_INT || row->type == WARREN_OPTION_DURATION);
    while (strcmp(units[unit].unit, end) != 0)
        unit++;
    number *= units[unit].factor;
    if (number < row->min || number > row->max)
        fail_msg("option %s: %s is out of range", name, text);
    return number;
}

/* ---- one middleware for one subscription ---- */

/** Options that live on, as a worker's do until `close`; the texts in @given must, too. */
static inline const struct warren_options *rig_keep(const struct warren_middleware *middleware,
                                                    const char *const *given)
{
    static struct {
        struct warren_options options;
        const char *given[2 * 16 + 1];
    } kept[64];
    static unsigned next;
    unsigned i = next++ % (sizeof kept / sizeof *kept);
    size_t count = 0;

    while (given[count]) {
        assert_true(count < sizeof kept->given / sizeof *kept->given - 1);
        kept[i].given[count] = given[count];
        count++;
    }
    kept[i].given[count] = NULL;
    kept[i].options = (struct warren_options){middleware->options, kept[i].given};
    return &kept[i].options;
}

static inline enum warren_status rig_open(const struct warren_middleware *middleware,
                                          const char *queue, const char *const *given, void **state,
                                          struct warren_error *error)
{
    const struct warren_options *options = rig_keep(middleware, given);
    struct warren_subscription_info info = {
        .queue = queue, .handler = "p.charge", .concurrency = 4, .options = options};

    if (middleware->check && middleware->check(options, error) != WARREN_OK)
        return WARREN_ECONFIG;
    return middleware->open(&info, state, error);
}

/** The state of a middleware with these options; they are right. */
#define RIG_OPEN(middleware, queue, ...)                                                           \
    __extension__({                                                                                \
        void *rig_state_ = NULL;                                                                   \
        struct warren_error rig_error_ = {0};                                                      \
        if (rig_open(middleware, queue, (const char *const[]){__VA_ARGS__, NULL}, &rig_state_,     \
                     &rig_error_) != WARREN_OK)                                                    \
            fail_msg("%s", rig_error_.text);                                                       \
        rig_state_;                                                                                \
    })

/** These options are refused, with @words in the reason. */
#define RIG_REFUSED(middleware, words, ...)                                                        \
    do {                                                                                           \
        void *rig_state_ = NULL;                                                                   \
        struct warren_error rig_error_ = {0};                                                      \
        assert_int_equal(rig_open(middleware, "bills", (const char *const[]){__VA_ARGS__, NULL},   \
                                  &rig_state_, &rig_error_),                                       \
                         WARREN_ECONFIG);                                                          \
        assert_null(rig_state_);                                                                   \
        if (!strstr(rig_error_.text, words))                                                       \
            fail_msg("'%s' does not say '%s'", rig_error_.text, words);                            \
    } while (0)

/* ---- the job ---- */

struct warren_job {
    enum warren_outcome answer; /* of the handler */
    bool ran;                   /* the handler was called */
    uint32_t attempt;
    int64_t now_ms;
    int64_t first_ms;
    int64_t retry_delay_ms;
    bool forgiven;
    bool duplicate;
    bool forgives; /* the handler's side does */
    char error[1025];
    char reason[32];
    int64_t hold_max_ms;
};

static inline struct warren_job rig_job(enum warren_outcome answer)
{
    return (struct warren_job){.answer = answer, .attempt = 1, .retry_delay_ms = -1};
}

/* Jobs differ by where they are and by when they came first. */
uint64_t warren_job_seed(const struct warren_job *job)
{
    return (uint64_t)(uintptr_t)job * 0x9e3779b97f4a7c15u ^ (uint64_t)job->first_ms << 20;
}

uint32_t warren_job_attempt(struct warren_job *job)
{
    return job->attempt;
}

int64_t warren_job_now_ms(const struct warren_job *job)
{
    return job->now_ms;
}

int64_t warren_job_first_ms(const struct warren_job *job)
{
    return job->first_ms;
}

int64_t warren_job_retry_delay_ms(const struct warren_job *job)
{
    return job->retry_delay_ms;
}

void warren_job_retry_after(struct warren_job *job, int64_t delay_ms)
{
    job->retry_delay_ms = delay_ms;
}

void warren_job_hold_max(struct warren_job *job, int64_t ms)
{
    job->hold_max_ms = ms;
}

void warren_job_reason(struct warren_job *job, const char *reason)
{
    snprintf(job->reason, sizeof job->reason, "%s", reason);
}

void warren_job_forgive(struct warren_job *job)
{
    job->forgiven = true;
}

void warren_job_duplicate(struct warren_job *job)
{
    job->duplicate = true;
}

bool warren_job_forgiven(const struct warren_job *job)
{
    return job->forgiven;
}

const char *warren_job_error(const struct warren_job *job)
{
    return job->error[0] ? job->error : NULL;
}

void warren_job_fail(struct warren_job *job, const char *format, ...)
{
    char text[sizeof job->error];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(job->error, text, sizeof text);
}

static enum warren_outcome rig_handle(struct warren_job *job, const struct warren_link *next,
                                      void *state)
{
    (void)next;
    (void)state;
    job->ran = true;
    if (job->forgives)
        warren_job_forgive(job);
    return job->answer;
}

/** Run @job through the middleware and a handler that gives the job's answer. */
static inline enum warren_outcome rig_run(const struct warren_middleware *middleware, void *state,
                                          struct warren_job *job)
{
    const struct warren_link links[] = {{middleware->call, state, 0}, {rig_handle, NULL, 0}};

    return warren_next(job, links);
}

#endif
