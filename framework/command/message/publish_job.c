#include "command/message/publish_job.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signal_tally.h"
#include "command/cli/lines.h"
#include "command/cli/pacer.h"
#include "command/cli/progress.h"
#include "command/message/publish_tally.h"
#include "store/spool/spool.h"

/* Waits are cut into slices, between which the progress is drawn and an interrupt seen. */
#define SLICE_MS 100

/* A failure to connect is reported after this time, while it is tried again. */
#define FIRST_WAIT_MS 2000

/* After an interrupt: longest wait for messages on their way. */
#define INTERRUPTED_FLUSH_MS 5000

#define CLOSE_MS 5000

struct publishing {
    struct cli *cli;
    const struct publish_job *job;
    struct warren_publisher *publisher;
    struct publish_tally tally;
    struct progress progress;
    struct pacer pacer;
    struct lines lines;
    int64_t started_ns;
    int64_t patience_ns; /* for the spool: without room, or without progress */
    size_t brokers;      /* to be tried */
    int64_t settled_ns;  /* when that was the last time */
    uint64_t settled;    /* how many had ended for good at that time */
    bool failed;         /* reported already */
};

/* The only way to learn of an interrupt while read(2) waits for a line. */
static volatile sig_atomic_t interrupted;
static struct signal_tally interrupts_tally;

static void on_interrupt(int number)
{
    if (!signals_note(&interrupts_tally, number, clock_now_ms(clock_monotonic())))
        return;
    interrupted = 1;
    if (atomic_load(&interrupts_tally.again)) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

/* The second interrupt ends the program. Only this thread is interrupted: others start meanwhile,
 * with the signals blocked. */
static enum warren_status new_publisher(const struct warren_publisher_options *options,
                                        struct warren_publisher **ret_publisher,
                                        struct warren_error *error)
{
    enum warren_status status;
    struct sigaction action;
    sigset_t interrupts;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    interrupted = 0;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &interrupts, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = warren_publisher_new(options, ret_publisher, error);
    pthread_sigmask(SIG_UNBLOCK, &interrupts, NULL);
    return status;
}

static int64_t now_ns(void)
{
    return clock_now_ns(clock_monotonic());
}

static void draw(struct publishing *p)
{
    struct warren_publisher_stats stats;
    char note[64] = "";

    if (!progress_is_due(&p->progress))
        return;
    warren_publisher_stats(p->publisher, &stats);
    if (stats.is_blocked)
        snprintf(note, sizeof note, "blocked by the broker");
    else if (stats.in_flight > 0)
        snprintf(note, sizeof note, "%" PRIu32 " on their way", stats.in_flight);
    progress_update(&p->progress, publish_tally_ended(&p->tally), *note ? note : NULL);
}

/* "not connected within 100 ms: why": our slice is no news. */
static const char *reason_of(const struct warren_error *error)
{
    const char *why = strstr(error->text, " ms: ");

    return why ? why + strlen(" ms: ") : error->text;
}

/* Wait for the broker, for as long as a message would. */
static bool connect_broker(struct publishing *p, uint32_t timeout_ms)
{
    int64_t deadline_ns = now_ns() + (int64_t)timeout_ms * 1000000;
    int64_t tell_ns = now_ns() + (int64_t)FIRST_WAIT_MS * 1000000;
    struct warren_error error = {WARREN_OK, ""};

    while (!interrupted) {
        if (warren_publisher_wait_connected(p->publisher, SLICE_MS, &error) == WARREN_OK)
            return true;
        if (timeout_ms > 0 && now_ns() >= deadline_ns) {
            cli_failed(p->cli, "no connection to the broker within %.1f s: %s",
                       (double)timeout_ms / 1000, reason_of(&error));
            return false;
        }
        if (!p->job->quiet && now_ns() >= tell_ns) {
            cli_warn(p->cli, "still trying: %s", reason_of(&error));
            tell_ns = INT64_MAX;
        }
    }
    return false;
}

static void pace(struct publishing *p)
{
    int64_t wait_ns = pacer_take(&p->pacer, now_ns());
    int64_t until_ns = now_ns() + wait_ns;

    while (wait_ns > 0 && !interrupted) {
        int64_t slice_ns = wait_ns < SLICE_MS * 1000000 ? wait_ns : SLICE_MS * 1000000;
        struct timespec rest = {0, (long)slice_ns};

        nanosleep(&rest, NULL);
        draw(p);
        wait_ns = until_ns - now_ns();
    }
}

/* The next body; WARREN_ENOTFOUND when there are no more. */
static enum warren_status next_body(struct publishing *p, struct warren_bytes *body)
{
    const struct publish_job *job = p->job;
    enum warren_status status;

    if ((!job->from_stdin || job->count > 0) && p->tally.published == job->count)
        return WARREN_ENOTFOUND;
    if (!job->from_stdin) {
        *body = job->options->message.body;
        return WARREN_OK;
    }
    do
        status = lines_next(&p->lines, body);
    while (status == WARREN_ETIMEOUT && !interrupted);
    if (status == WARREN_ETOOBIG)
        cli_failed(p->cli, "line %" PRIu64 " is longer than %zu bytes", p->tally.published + 1,
                   p->lines.line_max);
    else if (status == WARREN_EIO)
        cli_failed(p->cli, "cannot read standard input: %s", strerror(errno));
    else if (status == WARREN_ENOMEM)
        cli_failed(p->cli, "no memory for line %" PRIu64, p->tally.published + 1);
    p->failed = status != WARREN_OK && status != WARREN_ENOTFOUND && status != WARREN_ETIMEOUT;
    return status;
}

/* Whether connections failed, or were lost, as often as there are brokers. */
static bool is_cut_off(const struct publishing *p)
{
    struct warren_publisher_stats stats;

    if (warren_publisher_wait_connected(p->publisher, 0, NULL) == WARREN_OK)
        return false;
    warren_publisher_stats(p->publisher, &stats);
    return stats.losses >= p->brokers;
}

/* A window gets room, for its messages have a time limit; a spool perhaps not. */
static bool may_wait(const struct publishing *p, enum warren_status status, int64_t since_ns)
{
    if (interrupted || (status != WARREN_ETIMEOUT && status != WARREN_EFULL))
        return false;
    if (!p->job->spool)
        return true;
    return status == WARREN_ETIMEOUT && now_ns() - since_ns < p->patience_ns;
}

#define TOO_BIG                                                                                    \
    "its headers exceed a frame (with a delay: and what the broker adds), or it exceeds "

static const char *why_not(const struct publishing *p, enum warren_status status)
{
    switch (status) {
    case WARREN_ETOOBIG:
        return p->job->spool ? TOO_BIG "all of the spool (spool.max_bytes) or of the window "
                                       "(publisher.window_bytes)"
                             : TOO_BIG "the window";
    case WARREN_EFULL:
    case WARREN_ETIMEOUT:
        return "the spool is full (spool.max_bytes)";
    case WARREN_EIO:
        return "the spool cannot be written";
    default:
        return warren_status_name(status);
    }
}

/* Wait for room in slices, for as long as the user has patience. */
static bool publish_one(struct publishing *p, struct warren_bytes body)
{
    struct warren_message message = p->job->options->message;
    struct warren_publish publish = p->job->options->publish;
    int64_t since_ns = p->job->spool ? now_ns() : 0;
    enum warren_status status;

    message.body = body;
    publish.message = &message;
    do {
        status = warren_publisher_publish_after(p->publisher, &publish, p->job->delay_ms,
                                                publish_tally_receipt, &p->tally, NULL);
        draw(p);
    } while (may_wait(p, status, since_ns));
    if (status == WARREN_OK) {
        p->tally.published++;
        return true;
    }
    if (!interrupted) {
        cli_failed(p->cli, "message %" PRIu64 " cannot be published: %s", p->tally.published + 1,
                   why_not(p, status));
        p->failed = true;
    }
    return false;
}

static void publish_all(struct publishing *p)
{
    struct warren_bytes body;

    while (!interrupted && next_body(p, &body) == WARREN_OK) {
        pace(p);
        if (interrupted || !publish_one(p, body))
            break;
    }
}

/* Messages of a spool have no time limit: they are waited for while there is a connection, or the
 * first one is being made, and some of them end. Without one they are safe where they are. */
static bool is_hopeless(struct publishing *p)
{
    uint64_t settled = publish_tally_settled(&p->tally) + publish_tally_earlier(&p->tally);

    if (publish_tally_ended(&p->tally) < p->tally.published)
        return false;
    if (settled != p->settled) {
        p->settled = settled;
        p->settled_ns = now_ns();
    }
    return is_cut_off(p) || now_ns() - p->settled_ns >= p->patience_ns;
}

/* Every message has a time limit, so this ends; after an interrupt, soon. */
static void flush(struct publishing *p)
{
    int64_t give_up_ns = INT64_MAX;

    p->settled_ns = now_ns();
    while (warren_publisher_flush(p->publisher, SLICE_MS) == WARREN_ETIMEOUT) {
        draw(p);
        if (p->job->spool && is_hopeless(p))
            break;
        if (interrupted && give_up_ns == INT64_MAX)
            give_up_ns = now_ns() + (int64_t)INTERRUPTED_FLUSH_MS * 1000000;
        if (now_ns() >= give_up_ns)
            break;
    }
}

static enum cli_status finish(struct publishing *p)
{
    double seconds = (double)(now_ns() - p->started_ns) / 1e9;
    bool clean = publish_tally_is_clean(&p->tally) && !p->failed;

    if (p->job->json)
        publish_tally_write_json(&p->tally, seconds, stdout);
    else if (!p->job->quiet)
        publish_tally_write(&p->tally, seconds, stdout);
    if (interrupted)
        return cli_failed(p->cli, "interrupted");
    return clean ? CLI_OK : CLI_FAILED;
}

/* What is in the spool already is sent first, and counted apart. */
static enum warren_status look_into_spool(struct publishing *p, struct warren_error *error)
{
    const struct database_options file = {.path = p->job->spool, .synchronous = DATABASE_FULL};
    struct spool_totals totals;
    struct spool *spool;
    enum warren_status status = spool_open(&file, &spool, error);

    if (status != WARREN_OK)
        return status;
    status = spool_count(spool, &totals, error);
    spool_close(spool);
    if (status == WARREN_OK)
        p->tally.earlier = (uint64_t)totals.messages;
    return status;
}

static enum warren_status begin(struct publishing *p,
                                const struct warren_publisher_options *options,
                                struct warren_error *error)
{
    struct warren_publisher_options own = *options;

    p->tally.has_spool = p->job->spool != NULL;
    p->brokers = own.uri_count;
    own.when_full = WARREN_BLOCK;
    own.block_timeout_ms = SLICE_MS;
    if (p->job->spool) {
        enum warren_status status = look_into_spool(p, error);

        if (status != WARREN_OK)
            return status;
        own.spool_path = p->job->spool;
        own.spool_receipt = publish_tally_end;
        own.spool_user = &p->tally;
    }
    return new_publisher(&own, &p->publisher, error);
}

enum cli_status publish_job_run(struct cli *cli, const struct publish_job *job,
                                const struct warren_publisher_options *options)
{
    struct publishing p = {.cli = cli,
                           .job = job,
                           .started_ns = now_ns(),
                           .patience_ns = options->timeout_ms > 0
                                              ? (int64_t)options->timeout_ms * 1000000
                                              : INT64_MAX};
    struct warren_error error = {WARREN_OK, ""};

    if (begin(&p, options, &error) != WARREN_OK) {
        if (job->json)
            publish_tally_write_json(&p.tally, 0, stdout);
        return cli_error(cli, &error);
    }
    lines_init(&p.lines, STDIN_FILENO, LINES_MAX);

    p.failed = !job->spool && !connect_broker(&p, options->timeout_ms);
    p.started_ns = now_ns();
    pacer_init(&p.pacer, job->rate, p.started_ns);
    progress_init(&p.progress, job->count, job->quiet);
    if (!p.failed) {
        publish_all(&p);
        flush(&p);
    }
    progress_end(&p.progress);
    /* Its last receipts come before it returns: only then the tally is complete. */
    warren_publisher_close(p.publisher, interrupted || job->spool ? 0 : CLOSE_MS);
    lines_done(&p.lines);
    return finish(&p);
}
