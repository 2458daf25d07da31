/* dlq_session.h - a connection for one run of `warren dlq`: opened within a deadline, never opened
 * again, with SIGINT and SIGTERM seen. The loop runs only inside the calls that say so.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_SESSION_H
#define WARREN_COMMAND_DLQ_SESSION_H

#include "amqp/connection/channel.h"
#include "amqp/connection/connection.h"
#include "amqp/topology/limit_probe.h"
#include "config/config.h"

/* ---- does a queue exist, and what is in it? A passive declare on a channel of its own ---- */

/** Answers: what AMQP says where there is no such queue, or where one may not ask; the broker said
 *  nothing in time. */
#define DLQ_NO_SUCH_QUEUE 404
#define DLQ_NO_RIGHT      403
#define DLQ_NO_ANSWER     1

struct dlq_probe_found {
    uint16_t code;    /* 0: it exists; else the broker's reply code, or DLQ_NO_ANSWER, */
    const char *text; /* and why */
    uint32_t ready;   /* messages that nobody has taken */
    uint32_t consumers;
};

/** Told once, unless the connection is lost first. */
typedef void dlq_probe_fn(void *user, const struct dlq_probe_found *found);

struct dlq_probe {
    struct channel *channel; /* NULL: nothing is asked */
    const char *queue;
    dlq_probe_fn *answer;
    void *user;
};

/** Ask, on an open @connection. @queue is borrowed until the answer. */
enum warren_status dlq_probe_start(struct dlq_probe *probe, struct connection *connection,
                                   const char *queue, dlq_probe_fn *answer, void *user);
/** Forget the question, if there is one; a zeroed probe is fine. */
void dlq_probe_done(struct dlq_probe *probe);

/* ---- the session ---- */

struct dlq_session;

/**
 * Connect. Each address is tried once. Runs the loop.
 *
 * @name    for the broker's list
 * @config  borrowed until dlq_session_free()
 * @return  WARREN_OK; WARREN_EBROKER (credentials or vhost refused), WARREN_EIO (no connection),
 *          WARREN_ETIMEOUT, WARREN_ECONFIG, WARREN_ENOMEM; WARREN_ECLOSED: a signal came; with
 *          @error
 */
enum warren_status dlq_session_new(const struct config *config, const char *name,
                                   struct dlq_session **ret_session, struct warren_error *error);
/** Close in order. Runs the loop. NULL is fine. */
void dlq_session_free(struct dlq_session *session);

struct loop *dlq_session_loop(struct dlq_session *session);
struct connection *dlq_session_connection(struct dlq_session *session);
/** SIGINT or SIGTERM came; a second one ends the program. */
bool dlq_session_interrupted(const struct dlq_session *session);

/** Events, on the loop, while dlq_session_run() runs. Any may be NULL. */
struct dlq_session_events {
    void (*interrupted)(void *user);
    void (*lost)(void *user, const char *why); /* the connection; dlq_session_run() returns */
};

/**
 * Run the loop until dlq_session_stop(), or until the connection is lost.
 *
 * @events  may be NULL: a signal then stops it, too
 * @return  what was given to dlq_session_stop(); WARREN_EIO: lost; WARREN_ECLOSED: a signal; with
 *          @error
 */
enum warren_status dlq_session_run(struct dlq_session *session,
                                   const struct dlq_session_events *events, void *user,
                                   struct warren_error *error);
/** Make dlq_session_run() return. The first call counts. @format: why it failed; may be NULL. */
void dlq_session_stop(struct dlq_session *session, enum warren_status status, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

/**
 * Look @queue up. Runs the loop.
 *
 * @ret_found  its numbers
 * @return     WARREN_OK; WARREN_ENOTFOUND: there is no such queue; WARREN_EBROKER: refused; as
 *             dlq_session_run(); with @error
 */
enum warren_status dlq_session_look_up(struct dlq_session *session, const char *queue,
                                       struct dlq_probe_found *ret_found,
                                       struct warren_error *error);

/**
 * Find out the delivery limit of @queue: see limit_probe.h. Runs the loop.
 *
 * @ret_limit  or LIMIT_NONE, LIMIT_UNKNOWN
 * @return     as dlq_session_run()
 */
enum warren_status dlq_session_limit(struct dlq_session *session, const char *queue,
                                     int64_t *ret_limit, struct warren_error *error);

/** Run the loop for @ms milliseconds. @return as dlq_session_run() */
enum warren_status dlq_session_rest(struct dlq_session *session, int64_t ms,
                                    struct warren_error *error);

#endif
