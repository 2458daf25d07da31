/* report.c - what is reported to the application besides receipts, as it asked in the options:
 * states, lines for its log, and messages without a callback that did not arrive. On the
 * publisher's thread.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "publish/publisher/sender_private.h"

/* Messages that are counted for one line, from the first on; and the least time between lines. */
#define UNHEARD_GATHER_MS 1000
#define UNHEARD_REST_MS   10000

/* Two names of AMQP, the broker's words, and the numbers. */
#define LINE_SIZE 2048

static void __attribute__((format(printf, 3, 4)))
tell_line(const struct warren_publisher *p, enum warren_log_level level, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;

    if (!p->options.on_log)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *at = line; *at; at++) /* ids and the broker's words may hold anything */
        if ((unsigned char)*at < ' ')
            *at = '?';
    p->options.on_log(level, line, p->options.user);
}

static void tell_state(const struct warren_publisher *p, enum warren_publisher_state state,
                       const char *words)
{
    if (p->options.on_state)
        p->options.on_state(state, words, p->options.user);
}

/* ---- the connection ---- */

static void on_begun(void *user)
{
    tell_state(user, WARREN_PUBLISHER_CONNECTING, "");
}

static void tell_blocked(const struct warren_publisher *p, bool blocked, const char *reason)
{
    if (blocked)
        tell_line(p, WARREN_LOG_WARN, "the broker blocks publishing: %s", reason);
    else
        tell_line(p, WARREN_LOG_INFO, "the broker lets publish again");
    tell_state(p, blocked ? WARREN_PUBLISHER_BLOCKED : WARREN_PUBLISHER_READY, reason);
}

/* Before READY it is reported behind that; and the end of a connection is LOST. */
static void on_blocked(void *user, bool blocked, const char *reason)
{
    const struct warren_publisher *p = user;

    if (p->sender->announced && connection_state(p->sender->connection) == CONNECTION_OPEN)
        tell_blocked(p, blocked, reason);
}

static void on_open(void *user, const char *where, const char *server)
{
    const struct warren_publisher *p = user;

    tell_line(p, WARREN_LOG_INFO, "connected to %s (%s)", where, server);
    tell_state(p, WARREN_PUBLISHER_READY, where);
    if (p->sender->blocked) /* since before */
        tell_blocked(p, true, "since before it was ready");
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    const struct warren_publisher *p = user;
    const char *event = loss->refused    ? "the broker refused the connection"
                        : loss->was_open ? "connection lost"
                                         : "cannot connect";
    char words[WARREN_ERROR_TEXT_MAX];

    snprintf(words, sizeof words, "%s: %s: %s; next try in %" PRIu32 " ms", event, loss->where,
             loss->text, loss->retry_ms);
    tell_line(p, loss->refused ? WARREN_LOG_ERROR : WARREN_LOG_WARN, "%s", words);
    tell_state(p, WARREN_PUBLISHER_LOST, words);
}

static void on_closed(void *user)
{
    tell_line(user, WARREN_LOG_INFO, "closed");
    tell_state(user, WARREN_PUBLISHER_CLOSED, "");
}

/* Without an id the culprit is still being searched: the line that names it follows. */
static void on_refused(void *user, struct warren_bytes message_id, uint16_t code, const char *text)
{
    if (message_id.data)
        tell_line(user, WARREN_LOG_ERROR, "the broker refused message %.*s: %u %s",
                  (int)message_id.len, (const char *)message_id.data, code, text);
}

/* On the spool's thread: it is reported on the publisher's own. What comes meanwhile is newer. */
static void on_spool(void *user, bool trouble, const char *text)
{
    struct warren_publisher *p = user;

    if (!p->options.on_log)
        return;
    pthread_mutex_lock(&p->lock);
    p->spool_trouble = trouble;
    snprintf(p->spool_words, sizeof p->spool_words, "%s", text);
    pthread_mutex_unlock(&p->lock);
    loop_post(p->sender->loop, &p->sender->unheard.spool_task);
}

const struct publisher_observer report_observer = {
    .begun = on_begun,
    .open = on_open,
    .lost = on_lost,
    .blocked = on_blocked,
    .refused = on_refused,
    .spool = on_spool,
    .closed = on_closed,
};

static void tell_spool(void *arg)
{
    struct warren_publisher *p = ((struct sender *)arg)->p;
    char words[WARREN_ERROR_TEXT_MAX];
    bool trouble;

    pthread_mutex_lock(&p->lock);
    trouble = p->spool_trouble;
    memcpy(words, p->spool_words, sizeof words);
    pthread_mutex_unlock(&p->lock);
    tell_line(p, trouble ? WARREN_LOG_ERROR : WARREN_LOG_INFO, "spool: %s", words);
}

/* ---- messages without a callback ---- */

void report_rest(void *arg)
{
    struct sender *s = arg;
    struct unheard *unheard = &s->unheard;

    if (unheard->count == 0)
        return;
    if (s->p->options.on_log)
        tell_line(s->p, WARREN_LOG_WARN,
                  "messages without a callback did not arrive: %" PRIu64 ", the last one %s",
                  unheard->count, unheard->last);
    else
        log_warn("publisher: messages without a callback did not arrive: %" PRIu64
                 ", the last one %s",
                 unheard->count, unheard->last);
    unheard->count = 0;
    unheard->next_ms = loop_now_ms(s->loop) + UNHEARD_REST_MS;
}

enum warren_status report_init(struct sender *s)
{
    loop_task_init(&s->unheard.spool_task, tell_spool, s);
    return loop_timer_init(&s->unheard.timer, s->loop, report_rest, s);
}

void report_done(struct sender *s)
{
    loop_timer_done(&s->unheard.timer);
}

void report_unheard(struct sender *s, const struct warren_receipt *receipt)
{
    struct unheard *unheard = &s->unheard;
    int64_t now_ms = loop_now_ms(s->loop);
    int64_t wait_ms = unheard->next_ms - now_ms;

    if (s->p->options.on_returned) {
        s->p->options.on_returned(receipt, s->p->options.user);
        return;
    }
    snprintf(unheard->last, sizeof unheard->last, "%s (id %s, exchange '%s', routing key '%s')%s%s",
             warren_result_name(receipt->result), receipt->message_id, receipt->exchange,
             receipt->routing_key, receipt->reply_text[0] ? ": " : "", receipt->reply_text);
    if (unheard->count++ == 0)
        loop_timer_arm_ms(&unheard->timer,
                          wait_ms > UNHEARD_GATHER_MS ? wait_ms : UNHEARD_GATHER_MS);
}

void report_undeclared(const struct sender *s, const char *item, uint16_t code, const char *text)
{
    tell_line(s->p, WARREN_LOG_ERROR, "the broker refused to declare %s: %u %s", item, code, text);
}
