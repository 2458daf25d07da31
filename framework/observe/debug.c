/* debug.c - see debug.h. */
#include "observe/debug.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/proc.h"
#include "observe/profile.h"
#include "observe/stack_sampler.h"

#define ANSWER_MAX      ((size_t)64 << 20)
#define ANSWER_MS       2000 /* of all threads; who has not answered then is shown without calls */
#define PATIENCE_MS     30000
#define SECONDS_DEFAULT 10

/* ---- threads ---- */

struct samples {
    struct stack_sample *all;
    size_t count;
    size_t lost; /* no memory */
};

static void keep(void *user, const struct stack_sample *sample)
{
    struct samples *samples = user;

    if (samples->count % 64 == 0) {
        struct stack_sample *more =
            realloc(samples->all, (samples->count + 64) * sizeof *samples->all);

        if (!more) {
            samples->lost++;
            return;
        }
        samples->all = more;
    }
    samples->all[samples->count++] = *sample;
}

/* @line  of a file of the kernel's about @thread; "" if it has ended */
static void read_of(pid_t thread, const char *file, char *line, size_t size)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)thread, file);
    proc_line(path, "", line, size);
}

/* State and CPU time stand behind the name, which may hold anything: fields 3, 14 and 15. */
static void write_stat(struct json_writer *json, pid_t thread)
{
    char text[1024];
    char state[2] = "?";
    unsigned long long user = 0;
    unsigned long long system = 0;
    const char *behind;

    read_of(thread, "stat", text, sizeof text);
    behind = strrchr(text, ')');
    if (behind)
        sscanf(behind + 1, " %1s %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", state, &user,
               &system);
    json_writer_text(json, "state", state);
    json_writer_real(json, "cpu_s", (double)(user + system) / (double)sysconf(_SC_CLK_TCK));
}

static void write_work(struct json_writer *json, const struct fault_work *work)
{
    int64_t now_ns = clock_now_ns(clock_monotonic());

    json_writer_text(json, "queue", work->queue);
    json_writer_text(json, "handler", work->handler);
    json_writer_bool(json, "handling", work->handling);
    if (!work->handling)
        return;
    json_writer_text(json, "message_id", work->id_len > 0 ? work->message_id : NULL);
    json_writer_real(json, "for_s", (double)(now_ns - work->begun_ns) * 1e-9);
}

static void write_thread(struct json_writer *json, const struct stack_sample *sample)
{
    char text[BACKTRACE_CALLS];
    char name[160];

    json_writer_begin(json, NULL, '{');
    json_writer_int(json, "id", sample->thread);
    read_of(sample->thread, "comm", text, sizeof text);
    json_writer_text(json, "name", text);
    write_stat(json, sample->thread);
    if (sample->is_worker)
        write_work(json, &sample->work);
    json_writer_begin(json, "calls", '[');
    for (size_t i = 0; i < sample->call_count; i++) {
        backtrace_name(sample->calls[i], i == 0, name, sizeof name);
        json_writer_text(json, NULL, name);
    }
    json_writer_end(json, ']');
    json_writer_end(json, '}');
}

static void fail(struct errand_answer *answer, int status, const char *why)
{
    answer->status = status;
    snprintf(answer->why, sizeof answer->why, "%.*s", (int)sizeof answer->why - 1, why);
}

static void answer_buffer(struct errand_answer *answer, const char *type, struct buffer *buffer,
                          enum warren_status status)
{
    if (status != WARREN_OK) {
        fail(answer, 500, "the answer is too large, or there is no memory for it");
        return;
    }
    answer->type = type;
    answer->len = buffer_len(buffer);
    answer->body = malloc(answer->len + 1);
    if (answer->body && answer->len > 0)
        memcpy(answer->body, buffer_front(buffer), answer->len);
}

static int by_id(const void *a, const void *b)
{
    pid_t one = ((const struct stack_sample *)a)->thread;
    pid_t other = ((const struct stack_sample *)b)->thread;

    return one < other ? -1 : one > other;
}

static int status_of(const struct warren_error *error)
{
    if (error->status == WARREN_EFULL)
        return 409;
    return error->status == WARREN_EINVAL ? 501 : 503;
}

static void threads(struct errand *errand, struct errand_answer *answer)
{
    struct samples samples = {NULL, 0, 0};
    struct warren_error error = {WARREN_OK, ""};
    struct json_writer json;
    struct buffer buffer;

    (void)errand;
    if (stack_sampler_all(ANSWER_MS, keep, &samples, &error) != WARREN_OK) {
        fail(answer, status_of(&error), error.text);
        return;
    }
    if (samples.count > 0)
        qsort(samples.all, samples.count, sizeof *samples.all, by_id);
    buffer_init(&buffer, ANSWER_MAX);
    json_writer_init(&json, &buffer);
    json_writer_begin(&json, NULL, '{');
    json_writer_begin(&json, "threads", '[');
    for (size_t i = 0; i < samples.count; i++)
        write_thread(&json, &samples.all[i]);
    json_writer_end(&json, ']');
    json_writer_end(&json, '}');
    answer_buffer(answer, HTTP_TYPE_JSON, &buffer, json.status);
    buffer_done(&buffer);
    free(samples.all);
}

void debug_threads(struct errand *errand, struct http_exchange *exchange)
{
    errand_run(errand, exchange, PATIENCE_MS, threads, 0);
}

/* ---- a profile ---- */

static bool is_over(void *user)
{
    return errand_is_over(user);
}

static void profile(struct errand *errand, struct errand_answer *answer)
{
    struct warren_error error = {WARREN_OK, ""};
    struct profile_summary summary;
    struct buffer folded;

    buffer_init(&folded, ANSWER_MAX);
    if (profile_take(errand->number, is_over, errand, &folded, &summary, &error) == WARREN_OK)
        answer_buffer(answer, "text/plain; charset=utf-8", &folded, WARREN_OK);
    else
        fail(answer, status_of(&error), error.text);
    buffer_done(&folded);
}

/* "seconds=N", and nothing else. @return 0: it is not */
static uint32_t seconds_of(const char *query)
{
    static const char name[] = "seconds=";
    unsigned long seconds;
    char *end;

    if (!query || !*query)
        return SECONDS_DEFAULT;
    if (strncmp(query, name, sizeof name - 1) != 0)
        return 0;
    query += sizeof name - 1;
    if (*query < '0' || *query > '9')
        return 0;
    seconds = strtoul(query, &end, 10);
    return *end || seconds > PROFILE_SECONDS_MAX ? 0 : (uint32_t)seconds;
}

void debug_profile(struct errand *errand, struct http_exchange *exchange)
{
    uint32_t seconds = seconds_of(http_exchange_request(exchange)->query);

    if (seconds == 0) {
        http_answer_error(exchange, 400, "expected ?seconds=N, with N from 1 to 300");
        return;
    }
    errand_run(errand, exchange, (int64_t)seconds * 1000 + PATIENCE_MS, profile, seconds);
}
