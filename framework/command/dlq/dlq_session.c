#include "command/dlq/dlq_session.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/settings.h"
#include "base/error.h"
#include "base/signal_tally.h"

#define CLOSE_MS 2000

#define SIGNAL_COUNT 2

struct dlq_session {
    const struct config *config;
    struct loop *loop;
    struct connection *connection;
    struct loop_signal signals[SIGNAL_COUNT];
    struct signal_tally tally;
    struct loop_timer deadline; /* of connecting, of a look-up */
    struct loop_timer rest;
    const struct dlq_session_events *events; /* while it runs */
    void *user;
    size_t connects_left; /* one for each address */
    bool opened;
    bool lost;
    bool closing;
    bool interrupted;
    bool stopped;
    enum warren_status status; /* once stopped */
    struct warren_error why;
    struct dlq_probe_found found; /* of the queue that was looked up */
    int64_t limit;                /* of the queue that was asked about */
};

void dlq_session_stop(struct dlq_session *s, enum warren_status status, const char *format, ...)
{
    va_list arguments;

    if (s->stopped)
        return;
    s->stopped = true;
    s->status = s->why.status = status;
    s->why.text[0] = '\0';
    va_start(arguments, format);
    if (format)
        vsnprintf(s->why.text, sizeof s->why.text, format, arguments);
    va_end(arguments);
    loop_stop(s->loop);
}

/* ---- does a queue exist, and what is in it? ---- */

static void answer(struct dlq_probe *probe, struct dlq_probe_found found)
{
    dlq_probe_done(probe);
    probe->answer(probe->user, &found);
}

static void on_declared(void *user, void *decoded)
{
    const amqp_queue_declare_ok_t *declared = decoded;

    answer(user, (struct dlq_probe_found){.text = "",
                                          .ready = declared->message_count,
                                          .consumers = declared->consumer_count});
}

static void probe_opened(void *user)
{
    struct dlq_probe *probe = user;
    amqp_queue_declare_t declare = {
        .queue = {strlen(probe->queue), (void *)(uintptr_t)probe->queue}, .passive = true};

    channel_call(probe->channel, AMQP_QUEUE_DECLARE_METHOD, &declare, on_declared, probe);
}

static void probe_lost(void *user, const struct channel_loss *loss)
{
    char text[320];

    if (loss->code == 0 && !loss->unanswered)
        return;
    if (loss->code != 0)
        snprintf(text, sizeof text, "%u %s", loss->code, loss->text);
    else
        snprintf(text, sizeof text, "%s", loss->text);
    answer(user,
           (struct dlq_probe_found){.code = loss->code ? loss->code : DLQ_NO_ANSWER, .text = text});
}

enum warren_status dlq_probe_start(struct dlq_probe *probe, struct connection *connection,
                                   const char *queue, dlq_probe_fn *answer_fn, void *user)
{
    static const struct channel_events events = {.open = probe_opened, .lost = probe_lost};

    *probe = (struct dlq_probe){.queue = queue, .answer = answer_fn, .user = user};
    return channel_new(connection, &events, probe, &probe->channel);
}

void dlq_probe_done(struct dlq_probe *probe)
{
    channel_free(probe->channel);
    probe->channel = NULL;
}

/* ---- the connection ---- */

static void on_open(void *user)
{
    struct dlq_session *s = user;

    s->opened = true;
    loop_timer_disarm(&s->deadline);
    dlq_session_stop(s, WARREN_OK, NULL);
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct dlq_session *s = user;
    char text[WARREN_ERROR_TEXT_MAX];

    if (s->closing || s->lost || (!s->opened && --s->connects_left > 0))
        return;
    s->lost = true;
    snprintf(text, sizeof text, "%s: %s", loss->where, loss->text);
    if (s->events && s->events->lost)
        s->events->lost(s->user, text);
    dlq_session_stop(s, loss->refused ? WARREN_EBROKER : WARREN_EIO, "%s", text);
}

static void on_closed(void *user)
{
    struct dlq_session *s = user;

    loop_stop(s->loop);
}

static int64_t patience_ms(const struct dlq_session *s)
{
    return s->config->broker.connect_timeout_ms + s->config->broker.rpc_timeout_ms;
}

static void on_deadline(void *arg)
{
    struct dlq_session *s = arg;

    dlq_session_stop(s, WARREN_ETIMEOUT, "%s: no answer within %lld ms",
                     connection_where(s->connection), (long long)patience_ms(s));
}

static void on_rested(void *arg)
{
    dlq_session_stop(arg, WARREN_OK, NULL);
}

/* ---- signals ---- */

static void on_signal(void *arg, int number)
{
    struct dlq_session *s = arg;

    if (!signals_note(&s->tally, number, loop_now_ms(s->loop)))
        return;
    if (atomic_load(&s->tally.again)) {
        for (size_t i = 0; i < SIGNAL_COUNT; i++)
            loop_signal_done(&s->signals[i]); /* which are not caught any more */
        raise(number);
    }
    s->interrupted = true;
    if (s->events && s->events->interrupted)
        s->events->interrupted(s->user);
    else
        dlq_session_stop(s, WARREN_ECLOSED, "interrupted");
}

/* ---- life ---- */

static enum warren_status set_up(struct dlq_session *s, const char *name,
                                 struct warren_error *error)
{
    static const int numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM};
    static const struct connection_events events = {
        .open = on_open, .lost = on_lost, .closed = on_closed};
    struct publisher_settings settings;
    enum warren_status status = settings_connection(s->config, name, &settings, error);

    if (status != WARREN_OK)
        return status;
    settings.connection.read_coalesce_us = 0;
    s->connects_left = settings.connection.uri_count;
    status = loop_new(clock_monotonic(), &s->loop);
    for (size_t i = 0; i < SIGNAL_COUNT && status == WARREN_OK; i++)
        status = loop_signal_init(&s->signals[i], s->loop, numbers[i], on_signal, s);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->deadline, s->loop, on_deadline, s);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->rest, s->loop, on_rested, s);
    if (status == WARREN_OK)
        status = connection_new(s->loop, &settings.connection, &events, s, &s->connection, error);
    publisher_settings_done(&settings);
    return status;
}

enum warren_status dlq_session_new(const struct config *config, const char *name,
                                   struct dlq_session **ret_session, struct warren_error *error)
{
    struct dlq_session *s = calloc(1, sizeof *s);
    enum warren_status status;

    if (!s)
        return error_set(error, WARREN_ENOMEM, "no memory");
    error_set(error, WARREN_ENOMEM, "no memory");
    s->config = config;
    status = set_up(s, name, error);
    if (status == WARREN_OK) {
        loop_timer_arm_ms(&s->deadline, patience_ms(s));
        connection_start(s->connection);
        status = dlq_session_run(s, NULL, NULL, error);
    }
    if (status != WARREN_OK) {
        dlq_session_free(s);
        return status;
    }
    *ret_session = s;
    return WARREN_OK;
}

void dlq_session_free(struct dlq_session *s)
{
    if (!s)
        return;
    if (s->connection && s->opened && !s->lost) {
        s->closing = true;
        connection_close(s->connection, CLOSE_MS);
        loop_run(s->loop);
    }
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        loop_signal_done(&s->signals[i]);
    connection_free(s->connection);
    loop_timer_done(&s->deadline);
    loop_timer_done(&s->rest);
    loop_free(s->loop);
    free(s);
}

struct loop *dlq_session_loop(struct dlq_session *s)
{
    return s->loop;
}

struct connection *dlq_session_connection(struct dlq_session *s)
{
    return s->connection;
}

bool dlq_session_interrupted(const struct dlq_session *s)
{
    return s->interrupted;
}

enum warren_status dlq_session_run(struct dlq_session *s, const struct dlq_session_events *events,
                                   void *user, struct warren_error *error)
{
    if (s->lost)
        return error_set(error, s->why.status, "%s", s->why.text);
    s->stopped = false;
    s->events = events;
    s->user = user;
    loop_run(s->loop);
    s->events = NULL;
    if (s->status != WARREN_OK)
        return error_set(error, s->status, "%s", s->why.text);
    return WARREN_OK;
}

/* ---- look up, rest ---- */

static void on_looked_up(void *user, const struct dlq_probe_found *found)
{
    struct dlq_session *s = user;

    s->found = *found;
    s->found.text = "";
    if (found->code == 0)
        dlq_session_stop(s, WARREN_OK, NULL);
    else
        dlq_session_stop(s, found->code == DLQ_NO_SUCH_QUEUE ? WARREN_ENOTFOUND : WARREN_EBROKER,
                         "%s", found->text);
}

/* Wait for the answer to what was asked for with @status. */
static enum warren_status wait_for_answer(struct dlq_session *s, enum warren_status status,
                                          struct warren_error *error)
{
    if (status != WARREN_OK)
        return error_set(error, status, "%s", warren_status_name(status));
    loop_timer_arm_ms(&s->deadline, patience_ms(s));
    status = dlq_session_run(s, NULL, NULL, error);
    loop_timer_disarm(&s->deadline);
    return status;
}

enum warren_status dlq_session_look_up(struct dlq_session *s, const char *queue,
                                       struct dlq_probe_found *ret_found,
                                       struct warren_error *error)
{
    struct dlq_probe probe = {0};
    enum warren_status status = dlq_probe_start(&probe, s->connection, queue, on_looked_up, s);

    status = wait_for_answer(s, status, error);
    dlq_probe_done(&probe);
    *ret_found = s->found;
    return status;
}

static void on_limit(void *user, int64_t limit)
{
    struct dlq_session *s = user;

    s->limit = limit;
    dlq_session_stop(s, WARREN_OK, NULL);
}

enum warren_status dlq_session_limit(struct dlq_session *s, const char *queue, int64_t *ret_limit,
                                     struct warren_error *error)
{
    struct limit_probe probe = {0};
    enum warren_status status = limit_probe_start(&probe, s->connection, queue, on_limit, s);

    status = wait_for_answer(s, status, error);
    limit_probe_done(&probe);
    *ret_limit = s->limit;
    return status;
}

enum warren_status dlq_session_rest(struct dlq_session *s, int64_t ms, struct warren_error *error)
{
    enum warren_status status;

    loop_timer_arm_ms(&s->rest, ms);
    status = dlq_session_run(s, NULL, NULL, error);
    loop_timer_disarm(&s->rest);
    return status;
}
