/* letters.h - dead letters as the page looks at and changes them: by `warren dlq` with the worker's
 * own configuration, run as a child (child.h), one at a time. So it is the same code, it holds no
 * memory and no connection of the worker's, and whatever ends it loses nothing.
 *
 * What is asked for stands in the query: queue (a dead-letter queue of the configuration) and
 * which: id, group, or all=yes; to look at messages also max.
 *
 * The answer is {"exit": STATUS, "said": TEXT, "result": JSON of the command}: 200 for exit status
 * 0; 409: not all was done that was meant; 400: nothing was; 503: it took too long.
 * Thread: the listener's, but for letters_own(). Owner: struct admin embeds one.
 */
#ifndef WARREN_OBSERVE_LETTERS_H
#define WARREN_OBSERVE_LETTERS_H

#include <stdatomic.h>

#include "config/config.h"
#include "http/exchange.h"
#include "observe/child.h"

#define LETTERS_TIMEOUT_MS 60000
/** Messages that one look shows. */
#define LETTERS_SHOWN_MAX 500
/** Of all that is shown at once, in bytes. */
#define LETTERS_OUTPUT_MAX ((size_t)16 << 20)

enum letters_action {
    LETTERS_GROUPS,
    LETTERS_MESSAGES,
    LETTERS_REPLAY,
    LETTERS_EDIT, /* the body is the new message, a dump file */
    LETTERS_DISCARD,
};

struct letters {
    _Atomic(const struct config *) config;
    _Atomic(const char *) file; /* NULL: this process is not `warren run` */
    const char *const *sets;
    size_t set_count;
    const struct process_state *start;
    struct child child;
    struct http_later *later; /* NULL: nothing is under way */
    enum letters_action action;
    char queue[256];
    char peer[HTTP_ADDRESS_TEXT_MAX]; /* who asked */
};

void letters_init(struct letters *letters, const struct config *config);
/** The listener's thread has ended. */
void letters_done(struct letters *letters);

/** The process is `warren run` with this configuration; all borrowed. Thread: any, once. */
void letters_own(struct letters *letters, const char *file, char *const *sets, size_t set_count,
                 const struct process_state *start);

/** Answers, at once or later. */
void letters_ask(struct letters *letters, enum letters_action action, struct loop *loop,
                 struct http_exchange *exchange);

#endif
