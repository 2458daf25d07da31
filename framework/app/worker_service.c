/* worker_service.c - see worker_service.h. */
#include "app/worker_service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log_event.h"
#include "base/utf8.h"

/* Of WATCHDOG_USEC: so one message may be late. */
#define WATCHDOG_SHARE 3

struct message {
    char text[NOTIFY_TEXT_MAX];
    size_t len;
};

/* ---- a message ---- */

/* What does not fit any more is left out; the status is cut to fit. */
static void add(struct message *message, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add(struct message *message, const char *format, ...)
{
    size_t room = sizeof message->text - message->len;
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(message->text + message->len, room, format, arguments);
    va_end(arguments);
    if (len > 0 && (size_t)len < room)
        message->len += (size_t)len;
    else
        message->text[message->len] = '\0';
}

/* A newline would begin another line of the protocol, and a manager drops what is no UTF-8. */
static void make_plain(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t len = utf8_plain_len(text, left);

        if (len == 0)
            *text = '?';
        len += len == 0;
        text += len;
        left -= len;
    }
}

/* @return whether it arrived, or nobody is to be told */
static bool tell(struct worker_service *s, const struct message *message)
{
    struct warren_error error = {WARREN_OK, ""};

    if (message->len == 0 || notify_send(&s->notify, message->text, &error) == WARREN_OK) {
        s->warned = s->warned && message->len == 0;
        return true;
    }
    if (!s->warned)
        log_event(WARREN_LOG_WARN, "the service manager cannot be told how this worker is",
                  LOG_TEXT("reason", error.text));
    s->warned = true;
    return false;
}

/* ---- its life ---- */

void worker_service_take(struct worker_service *s)
{
    *s = (struct worker_service){.warned = false};
    notify_take(&s->notify, &s->wrong);
}

void worker_service_failed(struct worker_service *s, const char *reason)
{
    struct message message = {.len = 0};

    snprintf(s->status, sizeof s->status, "%s", reason);
    make_plain(s->status);
    add(&message, "STATUS=%s\n", s->status);
    notify_send(&s->notify, message.text, NULL); /* the reason is on standard error, too */
}

void worker_service_begin(struct worker_service *s)
{
    if (s->wrong.status != WARREN_OK)
        log_warn("%s", s->wrong.text);
}

static int64_t period_ms(const struct worker_service *s)
{
    int64_t ms = s->notify.watchdog_us / 1000 / WATCHDOG_SHARE;

    return ms < SERVICE_LOOK_MIN_MS ? SERVICE_LOOK_MIN_MS : ms;
}

int64_t worker_service_sleep_ms(const struct worker_service *s, int64_t now_ms, int64_t sleep_ms)
{
    int64_t until_ms = s->beat_ms;

    if (!notify_is_on(&s->notify))
        return sleep_ms;
    if (s->notify.watchdog_us > 0 && s->watchdog_ms < until_ms)
        until_ms = s->watchdog_ms;
    until_ms = until_ms - now_ms < SERVICE_LOOK_MIN_MS ? SERVICE_LOOK_MIN_MS : until_ms - now_ms;
    return sleep_ms < 0 || sleep_ms > until_ms ? until_ms : sleep_ms;
}

/* ---- what is told ---- */

/* @consumes: each subscription has just said so, which the loops may not have been asked yet. */
static bool write_status(char *status, size_t size, struct health *health,
                         const struct worker_service_facts *facts, int64_t now_ms, bool consumes)
{
    char reason[HEALTH_REASON_MAX];
    bool ready = health_is_ready(health, now_ms, reason) || consumes;

    if (facts->state == WARREN_WORKER_DRAINING && facts->stops)
        snprintf(status, size, "draining: ends within %" PRId64 " s",
                 (facts->drain_timeout_ms + 999) / 1000);
    else if (facts->state == WARREN_WORKER_DRAINING)
        snprintf(status, size, "draining after a crash: begins anew");
    else if (facts->state == WARREN_WORKER_ENDED)
        snprintf(status, size, "ending");
    else if (ready)
        snprintf(status, size, "ready, with %zu subscription%s", facts->subscriptions,
                 facts->subscriptions == 1 ? "" : "s");
    else
        snprintf(status, size, "not ready: %s", reason);
    make_plain(status);
    return ready && facts->state < WARREN_WORKER_DRAINING;
}

/* @return whether it is time, and the worker lives */
static bool watchdog(struct worker_service *s, struct health *health, int64_t now_ms)
{
    char reason[HEALTH_REASON_MAX];
    bool lives;

    if (s->notify.watchdog_us == 0 || now_ms < s->watchdog_ms)
        return false;
    s->watchdog_ms = now_ms + period_ms(s);
    lives = health_is_live(health, now_ms, reason);
    if (!lives && !s->dead)
        log_event(WARREN_LOG_ERROR, "the service manager's watchdog is not answered",
                  LOG_TEXT("reason", reason));
    s->dead = !lives;
    return lives;
}

void worker_service_look(struct worker_service *s, struct health *health,
                         const struct worker_service_facts *facts, int64_t now_ms)
{
    bool stops = facts->state == WARREN_WORKER_DRAINING && facts->stops && !s->stopping;
    bool consumes = facts->state == WARREN_WORKER_READY && !s->ready;
    struct message message = {.len = 0};
    char status[sizeof s->status];
    bool ready;

    if (!notify_is_on(&s->notify))
        return;
    if (now_ms >= s->beat_ms || consumes) {
        health_beat(health, now_ms);
        s->beat_ms = now_ms + SERVICE_BEAT_MS;
    }
    ready = write_status(status, sizeof status, health, facts, now_ms, consumes);
    if (s->ready_due || (ready && !s->ready))
        add(&message, "READY=1\n");
    if (stops)
        add(&message, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64 "\n",
            (facts->drain_timeout_ms + SERVICE_END_MS) * 1000);
    if (watchdog(s, health, now_ms))
        add(&message, "WATCHDOG=1\n");
    if (strcmp(status, s->status) != 0)
        add(&message, "STATUS=%s\n", status);
    if (!tell(s, &message))
        return;
    s->ready_due = false;
    s->ready = s->ready || ready;
    s->stopping = s->stopping || stops;
    memcpy(s->status, status, sizeof status);
}

void worker_service_reloading(struct worker_service *s, int64_t now_us)
{
    struct message message = {.len = 0};

    if (!s->ready)
        return; /* READY=1 behind it would say that the start is over */
    add(&message, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", now_us);
    tell(s, &message);
}

void worker_service_reloaded(struct worker_service *s)
{
    s->ready_due = s->ready;
}
