/* admin.c - see admin.h. */
#include "observe/admin.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/exposition.h"
#include "base/log_event.h"
#include "http/token.h"
#include "observe/admin_private.h"
#include "observe/debug.h"

/* How often the loops are asked whether they turn. */
#define BEAT_MS 1000
/* Long enough for a path of usual length; longer ones are cut. */
#define PLACE_SIZE 320

int64_t admin_now_ms(const struct admin *admin)
{
    return loop_now_ms(http_server_loop(admin->server));
}

/* ---- the paths ---- */

void admin_answer(struct http_exchange *exchange, int status, const char *type,
                  struct buffer *buffer, enum warren_status written)
{
    if (written == WARREN_OK)
        http_answer(exchange, status, type, buffer_front(buffer), buffer_len(buffer));
    else
        http_answer_error(exchange, 500,
                          written == WARREN_EFULL ? "the answer is above 64 MiB"
                                                  : "there is no memory");
    buffer_done(buffer);
}

static void metrics(struct http_exchange *exchange, void *user)
{
    struct buffer buffer;
    enum warren_status status;

    (void)user;
    buffer_init(&buffer, ADMIN_ANSWER_MAX);
    status = exposition_write(&buffer);
    admin_answer(exchange, 200, EXPOSITION_TYPE, &buffer, status);
}

static void health(struct http_exchange *exchange, void *user)
{
    static bool (*const asked[])(struct health *, int64_t, struct json_writer *) = {health_live,
                                                                                    health_ready};
    struct admin *admin = user;
    struct json_writer json;
    struct buffer buffer;
    bool well;

    buffer_init(&buffer, ADMIN_ANSWER_MAX);
    json_writer_init(&json, &buffer);
    well = asked[http_exchange_which(exchange)](admin->health, admin_now_ms(admin), &json);
    admin_answer(exchange, well ? 200 : 503, HTTP_TYPE_JSON, &buffer, json.status);
}

static void threads(struct http_exchange *exchange, void *user)
{
    struct admin *admin = user;

    debug_threads(&admin->looking, exchange);
}

static void profile(struct http_exchange *exchange, void *user)
{
    struct admin *admin = user;

    debug_profile(&admin->looking, exchange);
}

static void run_reload(struct errand *errand, struct errand_answer *answer)
{
    struct admin *admin = list_entry(errand, struct admin, reloading);
    struct json_writer json;
    struct buffer buffer;

    buffer_init(&buffer, ADMIN_ANSWER_MAX);
    json_writer_init(&json, &buffer);
    answer->status = admin->reload(admin->reload_user, &json);
    answer->type = HTTP_TYPE_JSON;
    answer->len = buffer_len(&buffer);
    if (json.status == WARREN_OK)
        answer->body = strndup((const char *)buffer_front(&buffer), answer->len);
    buffer_done(&buffer);
}

static void ask_for_reload(struct http_exchange *exchange, void *user)
{
    struct admin *admin = user;

    if (!atomic_load(&admin->has_reload))
        http_answer_error(exchange, 503, "the worker starts");
    else
        errand_run(&admin->reloading, exchange, ADMIN_RELOAD_MS, run_reload, 0);
}

static const struct http_route routes[] = {{"GET", "/metrics", HTTP_READ, metrics, 0},
                                           {"GET", "/healthz", HTTP_OPEN, health, 0},
                                           {"GET", "/readyz", HTTP_OPEN, health, 1},
                                           {"GET", "/debug/threads", HTTP_READ, threads, 0},
                                           {"GET", "/debug/profile", HTTP_READ, profile, 0},
                                           {"POST", "/api/reload", HTTP_CHANGE, ask_for_reload, 0},
                                           ADMIN_PAGE_ROUTES,
                                           {0}};

/* ---- the section ---- */

static bool is_wanted(const struct config *config)
{
    return config->admin.listen && *config->admin.listen;
}

static struct tls_options tls_of(const struct config *config)
{
    return (struct tls_options){.ca_file = config->admin.tls_ca_file,
                                .cert_file = config->admin.tls_cert_file,
                                .key_file = config->admin.tls_key_file};
}

/* What the text of an error is about. */
static enum warren_status tell_where(const struct config *config, const char *option,
                                     const struct warren_error *why, struct warren_error *error)
{
    char where[PLACE_SIZE];

    config_where(config, option, 0, where, sizeof where);
    return error_set(error, why->status, "%s: %s", where, why->text);
}

static enum warren_status read_address(const struct config *config, struct http_address *ret,
                                       struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};

    if (http_address_parse(config->admin.listen, ret, &why) == WARREN_OK)
        return WARREN_OK;
    return tell_where(config, "admin.listen", &why, error);
}

static enum warren_status check_files(const struct config *config, struct warren_error *error)
{
    const struct tls_options tls = tls_of(config);
    struct warren_error why = {WARREN_OK, ""};
    struct http_token token;

    if (config->admin.token_file &&
        http_token_load(config->admin.token_file, &token, &why) != WARREN_OK)
        return tell_where(config, "admin.token_file", &why, error);
    if (!tls.cert_file && !tls.key_file && !tls.ca_file)
        return WARREN_OK;
    if (http_tls_check(&tls, &why) != WARREN_OK)
        return tell_where(config,
                          tls.cert_file  ? "admin.tls.cert_file"
                          : tls.key_file ? "admin.tls.key_file"
                                         : "admin.tls.ca_file",
                          &why, error);
    return WARREN_OK;
}

enum warren_status admin_check(const struct config *config, struct warren_error *error)
{
    struct http_address address;
    enum warren_status status;

    if (!is_wanted(config))
        return WARREN_OK;
    status = read_address(config, &address, error);
    return status == WARREN_OK ? check_files(config, error) : status;
}

/* ---- life ---- */

static void beat(void *arg)
{
    struct admin *admin = arg;

    health_beat(admin->health, admin_now_ms(admin));
    admin_page_beat(admin);
    loop_timer_arm_ms(&admin->beat, BEAT_MS);
}

static void tell_open(const struct admin *admin, const struct config *config)
{
    char text[HTTP_ADDRESS_TEXT_MAX];
    bool open = !http_address_is_loopback(&admin->address) && !config->admin.token_file;

    http_server_text(admin->server, text);
    log_event(WARREN_LOG_INFO, "admin: listening", LOG_TEXT("address", text),
              LOG_TEXT("tls", config->admin.tls_cert_file ? "yes" : "no"),
              LOG_TEXT("token", config->admin.token_file ? "yes" : "no"));
    if (open)
        log_event(WARREN_LOG_WARN,
                  "admin: whoever reaches the address reads names of queues and handlers: set "
                  "admin.token_file",
                  LOG_TEXT("address", text));
}

static enum warren_status open_server(struct admin *admin, const struct config *config,
                                      struct warren_error *error)
{
    const struct http_server_options options = {.name = "warren-admin",
                                                .what = "of the admin listener",
                                                .address = &admin->address,
                                                .routes = routes,
                                                .user = admin,
                                                .token_file = config->admin.token_file,
                                                .tls = tls_of(config)};
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = http_server_new(&options, &admin->server, &why);

    if (status != WARREN_OK)
        return tell_where(config, "admin.listen", &why, error);
    status = loop_timer_init(&admin->beat, http_server_loop(admin->server), beat, admin);
    if (status != WARREN_OK)
        return error_set(error, status, "no memory for the admin listener");
    loop_timer_arm_ms(&admin->beat, BEAT_MS);
    return http_server_start(admin->server, error);
}

enum warren_status admin_open(const struct config *config, struct health *health,
                              struct admin **ret_admin, struct warren_error *error)
{
    struct admin *admin;
    enum warren_status status;

    *ret_admin = NULL;
    if (!is_wanted(config))
        return WARREN_OK;
    admin = calloc(1, sizeof *admin);
    if (!admin)
        return error_set(error, WARREN_ENOMEM, "no memory for the admin listener");
    admin->config = config;
    atomic_store(&admin->in_force, config);
    letters_init(&admin->letters, config);
    admin->health = health;
    status = read_address(config, &admin->address, error);
    if (status == WARREN_OK)
        status = open_server(admin, config, error);
    if (status != WARREN_OK) {
        admin_close(admin, false);
        return status;
    }
    tell_open(admin, config);
    *ret_admin = admin;
    return WARREN_OK;
}

void admin_own(struct admin *admin, const char *file, char *const *sets, size_t set_count,
               const struct process_state *start)
{
    if (admin)
        letters_own(&admin->letters, file, sets, set_count, start);
}

void admin_reloads(struct admin *admin, int (*reload)(void *user, struct json_writer *json),
                   void *user)
{
    if (!admin)
        return;
    admin->reload = reload;
    admin->reload_user = user;
    atomic_store(&admin->has_reload, true);
}

void admin_config(struct admin *admin, const struct config *config)
{
    if (!admin)
        return;
    atomic_store(&admin->in_force, config);
    atomic_store(&admin->letters.config, config);
}

void admin_reload(struct admin *admin)
{
    if (admin)
        http_server_reload(admin->server);
}

void admin_close(struct admin *admin, bool abandoned)
{
    if (!admin)
        return;
    errand_end(&admin->looking);
    errand_end(&admin->reloading);
    if (admin->server)
        http_server_stop(admin->server);
    errand_done(&admin->looking);
    errand_done(&admin->reloading);
    loop_timer_done(&admin->beat);
    admin_page_done(admin);
    http_server_free(admin->server);
    if (abandoned)
        return; /* a loop that still turns may be about to answer */
    free(admin);
}
