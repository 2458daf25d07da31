/* admin_private.h - the listener, as admin.c (the section, its life, metrics and health) and
 * admin_page.c (the page, and what it asks for) share it. Thread: the listener's.
 */
#ifndef WARREN_OBSERVE_ADMIN_PRIVATE_H
#define WARREN_OBSERVE_ADMIN_PRIVATE_H

#include "http/stream.h"
#include "observe/admin.h"
#include "observe/errand.h"
#include "observe/letters.h"

/* Of one answer, in bytes. */
#define ADMIN_ANSWER_MAX ((size_t)64 << 20)

struct admin {
    struct http_server *server;
    struct http_address address;
    const struct config *config;             /* of the beginning, */
    _Atomic(const struct config *) in_force; /* and of the day */
    struct loop_timer beat;
    struct health *health;
    struct errand looking;                               /* into this process */
    struct errand reloading;                             /* the configuration: */
    int (*reload)(void *user, struct json_writer *json); /* NULL: nobody does it yet, */
    void *reload_user;                                   /* which @has_reload says */
    atomic_bool has_reload;
    struct http_piece *latest; /* snapshot; NULL: none */
    int64_t latest_ms;
    struct letters letters;
};

int64_t admin_now_ms(const struct admin *admin);
/** What was written into @buffer, which is freed. */
void admin_answer(struct http_exchange *exchange, int status, const char *type,
                  struct buffer *buffer, enum warren_status written);

/* ---- admin_page.c ---- */

/* Their rows say which file, and which action. */
http_handler_fn admin_page_file, admin_page_events, admin_page_failures, admin_page_letters,
    admin_page_ask;

#define ADMIN_PAGE_ROUTES                                                                          \
    {"GET", "/", HTTP_OPEN, admin_page_file, 0},                                                   \
        {"GET", "/page.css", HTTP_OPEN, admin_page_file, 1},                                       \
        {"GET", "/page.js", HTTP_OPEN, admin_page_file, 2},                                        \
        {"GET", "/events", HTTP_PAGE, admin_page_events, 0},                                       \
        {"GET", "/api/failures", HTTP_PAGE, admin_page_failures, 0},                               \
        {"GET", "/api/dead-letters", HTTP_PAGE, admin_page_letters, 0},                            \
        {"GET", "/api/dead-letters/groups", HTTP_CHANGE, admin_page_ask, LETTERS_GROUPS},          \
        {"GET", "/api/dead-letters/messages", HTTP_CHANGE, admin_page_ask, LETTERS_MESSAGES},      \
        {"POST", "/api/dead-letters/replay", HTTP_CHANGE, admin_page_ask, LETTERS_REPLAY},         \
        {"POST", "/api/dead-letters/edit", HTTP_CHANGE, admin_page_ask, LETTERS_EDIT},             \
    {                                                                                              \
        "POST", "/api/dead-letters/discard", HTTP_CHANGE, admin_page_ask, LETTERS_DISCARD          \
    }

/** Each second: a snapshot, if anybody watches. */
void admin_page_beat(struct admin *admin);
/** The listener's thread has ended. */
void admin_page_done(struct admin *admin);

#endif
