/* command_top.c - `warren top`: workers, live. A thread for each asks it; this one draws. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "base/thread.h"
#include "command/cli/print.h"
#include "command/watch/command_watch.h"
#include "command/watch/top_screen.h"
#include "command/watch/top_view.h"
#include "command/watch/watch_client.h"

#define WORKERS_MAX 256
#define ASK_MS      5000
#define INTERVAL_MS 1000
#define DRAW_MS     250
#define PLAIN_WIDTH 140

struct top;

/* One address. */
struct watched {
    struct top *top;
    size_t index;
    struct watch_client client;
    pthread_t thread;
    bool started;
    uint64_t readings; /* under the lock */
};

struct top {
    struct watch_options watch;
    uint64_t interval_ms;
    bool once;
    bool json;
    struct watched *workers;
    const char *addresses[WORKERS_MAX];
    const char *shown_troubles[WORKERS_MAX];
    char (*troubles)[256]; /* under the lock */
    size_t count;

    pthread_mutex_t lock; /* guards table, troubles, readings */
    struct condition changed;
    struct top_table table;
    bool ending;
};

static bool take_interval(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);
    char *end;
    double seconds = text ? strtod(text, &end) : 0;

    if (!text)
        return false;
    if (end == text || (*end && strcmp(end, "s") != 0) || seconds < 0.1 || seconds > 3600)
        return cli_refuse(cli, option, text, "expected 0.1 to 3600 seconds");
    *(uint64_t *)value = (uint64_t)(seconds * 1000);
    return true;
}

static const struct cli_option options[] = {
    CLI_OPTION("interval", 'i', "Between two readings (1s)", "SECONDS", take_interval, struct top,
               interval_ms),
    CLI_FLAG("once", '1', "Print one table, of two readings, and leave", struct top, once),
    CLI_FLAG("json", 'j', "The same as JSON", struct top, json), CLI_ROWS(watch_option_rows),
    CLI_END};

/* ---- asking ---- */

static void set_trouble(struct watched *w, const char *text)
{
    snprintf(w->top->troubles[w->index], sizeof w->top->troubles[0], "%s", text);
}

static void take_reading(struct watched *w, char *text, double seconds)
{
    struct warren_error error = {WARREN_OK, ""};

    if (top_table_read(&w->top->table, w->index, text, seconds, &error) == WARREN_OK) {
        set_trouble(w, "");
    } else {
        char trouble[256];

        snprintf(trouble, sizeof trouble, "%s/metrics: %.200s", w->client.url, error.text);
        set_trouble(w, trouble);
    }
}

static void *ask_for_ever(void *arg)
{
    struct watched *w = arg;
    struct top *top = w->top;
    int64_t before_ms = 0;

    pthread_mutex_lock(&top->lock);
    while (!top->ending) {
        struct warren_error error = {WARREN_OK, ""};
        char *text = NULL;
        size_t len = 0;
        enum warren_status status;
        int64_t now_ms;

        pthread_mutex_unlock(&top->lock);
        status = watch_client_get(&w->client, "/metrics", ASK_MS, &text, &len, &error);
        pthread_mutex_lock(&top->lock);
        now_ms = clock_now_ms(clock_monotonic());
        if (status == WARREN_OK) {
            take_reading(w, text, (double)(now_ms - before_ms) / 1000);
        } else {
            top_table_forget(&top->table, w->index);
            set_trouble(w, error.text);
        }
        free(text);
        before_ms = now_ms;
        w->readings++;
        condition_broadcast(&top->changed);
        while (!top->ending && condition_wait_until_ms(&top->changed, &top->lock,
                                                       now_ms + (int64_t)top->interval_ms))
            ;
    }
    pthread_mutex_unlock(&top->lock);
    return NULL;
}

/* ---- plain output ---- */

/* Two readings of each that answers, one try of each other. */
static bool has_read(const struct top *top)
{
    for (size_t i = 0; i < top->count; i++)
        if (top->workers[i].readings < (top->troubles[i][0] ? 1 : 2))
            return false;
    return true;
}

static bool any_answers(const struct top *top)
{
    for (size_t i = 0; i < top->count; i++)
        if (!top->troubles[i][0])
            return true;
    return false;
}

static json_t *number_json(double value)
{
    return value >= 0 ? json_real(value) : json_null(); /* NAN is not known */
}

static json_t *row_json(const struct top *top, const struct top_row *row)
{
    json_t *reasons = json_object();

    for (size_t i = 0; i < row->reason_count; i++)
        json_object_set_new(reasons, row->reasons[i].name, number_json(row->reasons[i].total));
    return json_pack(
        "{s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "worker", top->addresses[row->worker], "queue", cli_json_text(row->queue), "handler",
        cli_json_text(row->handler), "consuming", (int)row->consuming, "received_per_s",
        number_json(TOP_RATE(row, received)), "settled_per_s", number_json(TOP_RATE(row, settled)),
        "failures_per_s", number_json(TOP_RATE(row, failures)), "retries_per_s",
        number_json(TOP_RATE(row, retries)), "p50_s", number_json(top_quantile(row, 0.5)), "p99_s",
        number_json(top_quantile(row, 0.99)), "busy", number_json(top_busy(row)), "running",
        number_json(row->running), "queued", number_json(row->queued), "held",
        number_json(row->held), "dead_letters", number_json(row->now.dead_letters),
        "failures_by_reason", reasons);
}

static void print_json(struct top *top)
{
    json_t *rows = json_array();
    json_t *troubles = json_object();

    for (size_t i = 0; i < top->table.count; i++)
        json_array_append_new(rows, row_json(top, &top->table.rows[i]));
    for (size_t i = 0; i < top->count; i++)
        if (top->troubles[i][0])
            json_object_set_new(troubles, top->addresses[i], cli_json_text(top->troubles[i]));
    cli_print_summary(json_pack("{s:o, s:o}", "subscriptions", rows, "unreachable", troubles));
}

static void print_table(struct top *top)
{
    char line[TOP_LINE_SIZE];

    top_heading(PLAIN_WIDTH, line);
    puts(line);
    for (size_t i = 0; i < top->table.count; i++) {
        const struct top_row *row = &top->table.rows[i];

        top_line(row, top->count > 1 ? top->addresses[row->worker] : NULL, PLAIN_WIDTH, line);
        puts(line);
        for (size_t k = 0; top_failure_line(row, k, line); k++)
            if (row->reasons[k].total > 0)
                puts(line);
    }
}

/* Under the lock. */
static enum cli_status print_once(struct cli *cli, struct top *top)
{
    while (!has_read(top))
        condition_wait(&top->changed, &top->lock);
    top_table_sort(&top->table, TOP_BY_NAME);
    if (top->json)
        print_json(top);
    else if (any_answers(top))
        print_table(top);
    for (size_t i = 0; i < top->count && !top->json; i++)
        if (top->troubles[i][0])
            cli_warn(cli, "%s", top->troubles[i]);
    return any_answers(top) ? CLI_OK : CLI_FAILED;
}

/* ---- the screen ---- */

static enum cli_status show(struct cli *cli, struct top *top)
{
    struct top_picture picture = {&top->table, top->addresses, top->shown_troubles, top->count};
    struct top_screen *screen;
    struct warren_error error;
    bool stays = true;

    if (top_screen_open(&screen, &error) != WARREN_OK)
        return cli_error(cli, &error);
    for (size_t i = 0; i < top->count; i++)
        top->shown_troubles[i] = top->troubles[i];
    while (stays) {
        pthread_mutex_lock(&top->lock);
        top_screen_draw(screen, &picture);
        pthread_mutex_unlock(&top->lock);
        stays = top_screen_key(screen, DRAW_MS);
    }
    top_screen_close(screen);
    return CLI_OK;
}

/* ---- life ---- */

static enum cli_status add_worker(struct cli *cli, struct top *top, const char *address)
{
    struct watched *w = &top->workers[top->count];
    struct warren_error error = {WARREN_OK, ""};

    *w = (struct watched){.top = top, .index = top->count};
    if (watch_client_init(&w->client, address, &top->watch, &error) != WARREN_OK)
        return error.status == WARREN_EINVAL ? cli_usage(cli, "%s", error.text)
                                             : cli_error(cli, &error);
    top->addresses[top->count++] = address;
    return CLI_OK;
}

static enum cli_status add_workers(struct cli *cli, struct top *top)
{
    enum cli_status status = CLI_OK;
    const char *address;

    top->workers = calloc(WORKERS_MAX, sizeof *top->workers);
    top->troubles = calloc(WORKERS_MAX, sizeof *top->troubles);
    if (!top->workers || !top->troubles)
        return cli_failed(cli, "no memory");
    while (status == CLI_OK && (address = cli_argument(cli))) {
        if (top->count == WORKERS_MAX)
            return cli_usage(cli, "more than %d addresses", WORKERS_MAX);
        status = add_worker(cli, top, address);
    }
    return status == CLI_OK && top->count == 0 ? add_worker(cli, top, WATCH_ADDRESS) : status;
}

static enum cli_status start_asking(struct cli *cli, struct top *top)
{
    struct warren_error error;

    for (size_t i = 0; i < top->count; i++) {
        struct watched *w = &top->workers[i];

        if (thread_start(&w->thread, "ask", ask_for_ever, w, &error) != WARREN_OK)
            return cli_error(cli, &error);
        w->started = true;
    }
    return CLI_OK;
}

static void end(struct top *top)
{
    pthread_mutex_lock(&top->lock);
    top->ending = true;
    condition_broadcast(&top->changed);
    pthread_mutex_unlock(&top->lock);
    for (size_t i = 0; i < top->count; i++) {
        if (top->workers[i].started) {
            http_client_cancel(top->workers[i].client.http);
            pthread_join(top->workers[i].thread, NULL);
        }
        watch_client_done(&top->workers[i].client);
    }
    top_table_done(&top->table);
    free(top->workers);
    free(top->troubles);
    condition_done(&top->changed);
    pthread_mutex_destroy(&top->lock);
}

static enum cli_status run(struct cli *cli)
{
    struct top top = {.interval_ms = INTERVAL_MS};
    enum cli_status status;

    if (!cli_read(cli, &top))
        return cli->status;
    pthread_mutex_init(&top.lock, NULL);
    condition_init(&top.changed);
    status = add_workers(cli, &top);
    if (status == CLI_OK)
        status = start_asking(cli, &top);
    if (status == CLI_OK && !top.once && !top.json && isatty(STDOUT_FILENO)) {
        status = show(cli, &top);
    } else if (status == CLI_OK) {
        pthread_mutex_lock(&top.lock);
        status = print_once(cli, &top);
        pthread_mutex_unlock(&top.lock);
    }
    end(&top);
    return status;
}

const struct command command_top = {
    .name = "top",
    .arguments = "[ADDRESS...]",
    .summary = "Show what running workers do, live",
    .options = options,
    .run = run,
    .details =
        "ADDRESS is HOST:PORT of a worker's admin listener (127.0.0.1:9464). Where standard\n"
        "output is no terminal, one table of two readings is printed, as with --once.\n"
        "Keys: q leave, s sort, f failures of the line, arrows and pages, ? help.\n",
};
