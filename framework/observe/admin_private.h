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
    const struct config *config;
    struct loop_timer beat;
    struct health *health;
    struct errand looking;     /* into this process */
    struct http_piece *latest; /* snapshot; NULL: none */
    int64_t latest_ms;
    struct letters letters;
};

int64_t admin_now_ms(const struct admin *admin);
/** What was written into @buffer, which is freed. */
void admin_answer(struct http_exchange *exchange, int status, const char *type,
                  struct buffer *buffer, enum warren_status written);

/* ---- admin_page.c ---- */

http_handler_fn admin_page_html, admin_page_css, admin_page_js, admin_page_events,
    admin_page_failures, admin_page_letters, admin_page_groups, admin_page_messages,
    admin_page_replay, admin_page_edit, admin_page_discard;

#define ADMIN_PAGE_ROUTES                                                                          \
    {"GET", "/", HTTP_OPEN, admin_page_html}, {"GET", "/page.css", HTTP_OPEN, admin_page_css},     \
        {"GET", "/page.js", HTTP_OPEN, admin_page_js},                                             \
        {"GET", "/events", HTTP_PAGE, admin_page_events},                                          \
        {"GET", "/api/failures", HTTP_PAGE, admin_page_failures},                                  \
        {"GET", "/api/dead-letters", HTTP_PAGE, admin_page_letters},                               \
        {"GET", "/api/dead-letters/groups", HTTP_CHANGE, admin_page_groups},                       \
        {"GET", "/api/dead-letters/messages", HTTP_CHANGE, admin_page_messages},                   \
        {"POST", "/api/dead-letters/replay", HTTP_CHANGE, admin_page_replay},                      \
        {"POST", "/api/dead-letters/edit", HTTP_CHANGE, admin_page_edit},                          \
    {                                                                                              \
        "POST", "/api/dead-letters/discard", HTTP_CHANGE, admin_page_discard                       \
    }

/** Each second: a snapshot, if anybody watches. */
void admin_page_beat(struct admin *admin);
/** The listener's thread has ended. */
void admin_page_done(struct admin *admin);

#endif
