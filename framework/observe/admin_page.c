/* admin_page.c - the page of a worker: its files, the stream of snapshots, and what failed. */
#include <string.h>

#include "observe/admin_private.h"
#include "observe/snapshot.h"

/* The files of page/, made texts by CMake. */
extern const char page_html[];
extern const char page_css[];
extern const char page_js[];

#define TYPE_EVENTS "text/event-stream"
/* Of one snapshot, in bytes: some 10,000 subscriptions. */
#define SNAPSHOT_MAX ((size_t)16 << 20)
/* Who comes gets the latest one, if it is no older. */
#define FRESH_MS 1000

static const char too_large[] = "data: {\"error\": \"the snapshot is above 16 MiB\"}\n\n";

/* ---- the files ---- */

void admin_page_file(struct http_exchange *exchange, void *user)
{
    static const char *const types[] = {"text/html; charset=utf-8", "text/css; charset=utf-8",
                                        "text/javascript; charset=utf-8"};
    static const char *const texts[] = {page_html, page_css, page_js};
    unsigned which = http_exchange_which(exchange);

    (void)user;
    http_answer(exchange, 200, types[which], texts[which], strlen(texts[which]));
}

/* ---- snapshots ---- */

static enum warren_status write_event(struct admin *admin, struct buffer *buffer)
{
    const struct snapshot_source source = {.health = admin->health,
                                           .config = atomic_load(&admin->in_force),
                                           .may_change = admin->config->admin.token_file != NULL};
    enum warren_status status = buffer_append(buffer, "data: ", 6);
    struct json_writer json;

    json_writer_init(&json, buffer);
    json.status = status;
    snapshot_write(&source, admin_now_ms(admin), &json);
    return json.status == WARREN_OK ? buffer_append(buffer, "\n\n", 2) : json.status;
}

/* Without memory the latest one stays. */
static void make_snapshot(struct admin *admin)
{
    struct http_piece *piece;
    struct buffer buffer;
    enum warren_status status;

    buffer_init(&buffer, SNAPSHOT_MAX);
    status = write_event(admin, &buffer);
    if (status == WARREN_OK)
        piece = http_piece_new(buffer_front(&buffer), buffer_len(&buffer));
    else
        piece = status == WARREN_EFULL ? http_piece_new(too_large, sizeof too_large - 1) : NULL;
    buffer_done(&buffer);
    if (!piece)
        return;
    http_piece_unref(admin->latest);
    admin->latest = piece;
    admin->latest_ms = admin_now_ms(admin);
}

void admin_page_events(struct http_exchange *exchange, void *user)
{
    struct admin *admin = user;

    if (!admin->latest || admin_now_ms(admin) - admin->latest_ms > FRESH_MS)
        make_snapshot(admin);
    http_answer_stream(exchange, TYPE_EVENTS, admin->latest);
}

void admin_page_beat(struct admin *admin)
{
    if (http_stream_watchers(admin->server) == 0) {
        http_piece_unref(admin->latest);
        admin->latest = NULL;
        return;
    }
    make_snapshot(admin);
    if (admin->latest)
        http_stream_send(admin->server, admin->latest);
}

void admin_page_done(struct admin *admin)
{
    http_piece_unref(admin->latest);
    admin->latest = NULL;
    letters_done(&admin->letters);
}

/* ---- failures ---- */

void admin_page_failures(struct http_exchange *exchange, void *user)
{
    struct admin *admin = user;
    struct runtime *runtime = health_hold(admin->health);
    struct json_writer json;
    struct buffer buffer;

    buffer_init(&buffer, ADMIN_ANSWER_MAX);
    json_writer_init(&json, &buffer);
    snapshot_failures(runtime ? runtime_failures(runtime) : NULL, &json);
    health_let_go(admin->health);
    admin_answer(exchange, 200, HTTP_TYPE_JSON, &buffer, json.status);
}

/* ---- dead letters ---- */

void admin_page_letters(struct http_exchange *exchange, void *user)
{
    struct admin *admin = user;
    struct json_writer json;
    struct buffer buffer;

    buffer_init(&buffer, ADMIN_ANSWER_MAX);
    json_writer_init(&json, &buffer);
    snapshot_dead_letters(atomic_load(&admin->in_force), &json);
    admin_answer(exchange, 200, HTTP_TYPE_JSON, &buffer, json.status);
}

void admin_page_ask(struct http_exchange *exchange, void *user)
{
    struct admin *admin = user;

    letters_ask(&admin->letters, (enum letters_action)http_exchange_which(exchange),
                http_server_loop(admin->server), exchange);
}
