/* reload_request.h - a thread that is not the main one asks for a reload, and waits for what came
 * of it. Owner: struct warren_worker embeds one. Elsewhere: the reload itself (worker_reload.h).
 */
#ifndef WARREN_APP_RELOAD_REQUEST_H
#define WARREN_APP_RELOAD_REQUEST_H

#include <pthread.h>
#include <semaphore.h>

#include "app/reload_report.h"
#include "base/condition.h"

struct reload_request {
    pthread_mutex_t lock; /* guards all */
    struct condition answered;
    bool asked;
    bool under_way; /* the main thread has taken it */
    bool closed;
    struct reload_report *report; /* of who asks; NULL: nobody does */
};

void reload_request_init(struct reload_request *request);
void reload_request_done(struct reload_request *request);

/**
 * Ask, post @wake, and wait for the answer, which is refused as busy if another one is under way,
 * or if the worker ends. Thread: any but main.
 *
 * @ret  zeroed; reload_report_done() is the caller's
 */
void reload_request_ask(struct reload_request *request, sem_t *wake, struct reload_report *ret);

/** Does somebody ask? Then reload_request_answer() is to follow. Thread: main, as the next two. */
bool reload_request_take(struct reload_request *request);
/** @report: taken over */
void reload_request_answer(struct reload_request *request, const struct reload_report *report);
/** The worker ends: who waits is refused, and so is who comes. Harmless to repeat. */
void reload_request_close(struct reload_request *request);

#endif
