#include "support/worker.h"

#include <signal.h>

#include "support/test.h"
#include "support/wait.h"

#define ARGUMENTS_MAX 32
#define STOP_MS       20000
#define LIVES_MAX     300
#define LIFE_MS       20000
#define EMPTY_MS      20000
#define LAST_WORDS    8000 /* bytes */

static char *plugin_list(void)
{
    static const char *const names[] = {
        "tests/probe", "tests/fragile",  "tests/answer", "tests/crashing", "tests/bank",
        "tests/timed", "tests/children", "tests/act",    "tests/burning",  "tests/ordered",
        "tests/weigh", "tests/batches",  "handlers/log", "handlers/exec",  "handlers/sqlite_sink"};
    char *list = NULL;
    size_t size;
    FILE *out = open_memstream(&list, &size);

    if (!out)
        abort();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fprintf(out, "%s%s/%s.so", i ? ", " : "", WARREN_BINARY_DIR, names[i]);
    fclose(out);
    return list;
}

struct worker *worker_new(const char *uri, const char *format, ...)
{
    struct worker *worker = calloc(1, sizeof *worker);
    char *rest = NULL;
    char *plugins;
    char *yaml;
    va_list arguments;

    va_start(arguments, format);
    if (!worker || vasprintf(&rest, format, arguments) < 0)
        abort();
    va_end(arguments);
    plugins = plugin_list();
    yaml = text("broker: {uri: '%s', reconnect_delay_min: 50ms, reconnect_delay_max: 500ms}\n"
                "plugins: [%s]\n%s\n",
                uri, plugins, rest);
    worker->directory = scratch_new();
    worker->config = write_file(worker->directory, "worker.yaml", yaml);
    free(yaml);
    free(plugins);
    free(rest);
    return worker;
}

void worker_run(struct worker *worker, const char *const *sets)
{
    const char *arguments[ARGUMENTS_MAX] = {"run", "-c", worker->config};
    size_t count = 3;

    for (size_t i = 0; sets && sets[i] && count + 3 < ARGUMENTS_MAX; i++) {
        arguments[count++] = "--set";
        arguments[count++] = sets[i];
    }
    proc_free(worker->proc);
    worker->proc = warren_start(arguments, NULL);
}

void worker_consume(struct worker *worker, int subscriptions)
{
    worker_run(worker, NULL);
    if (!WAIT_FOR(worker_logged(worker, "consuming queue=", NULL) >= subscriptions, PATIENCE_MS))
        fail_msg("the worker does not consume:\n%s", proc_stderr(worker->proc));
}

/* For the process that is started next; 0: never. */
static void die_after(int commits)
{
    char *number = text("%d", commits);

    if (commits > 0) {
        setenv("LD_PRELOAD", WARREN_BINARY_DIR "/tests/die_after_sync.so", 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
        setenv("DIE_AFTER_SYNC", number, 1);
    } else {
        unsetenv("LD_PRELOAD");
        unsetenv("ASAN_OPTIONS");
        unsetenv("DIE_AFTER_SYNC");
    }
    free(number);
}

int worker_live_and_die(struct worker *worker, int most, bool (*done)(void *user), void *user)
{
    for (int deaths = 0; deaths < LIVES_MAX; deaths++) {
        die_after(1 + deaths % most);
        worker_run(worker, NULL);
        die_after(0);
        WAIT_FOR(proc_wait(worker->proc, 0) != PROC_RUNNING || done(user), LIFE_MS * slowness());
        if (proc_wait(worker->proc, 0) == PROC_RUNNING)
            return deaths;
        assert_int_equal(proc_wait(worker->proc, 0), PROC_SIGNAL + SIGKILL);
    }
    fail_msg("killed %d times, and not done", LIVES_MAX);
    return LIVES_MAX;
}

void worker_expect_empty(struct worker *worker, const struct broker *broker, const char *queue)
{
    if (!WAIT_FOR(broker_messages(broker, queue) == 0, EMPTY_MS * slowness()))
        fail_msg("the queue is not empty; the worker said:\n%s", proc_stderr(worker->proc));
}

/* Why it did not end well. */
static void tell_last_words(struct worker *worker, const char *what)
{
    const char *said = proc_stderr(worker->proc);
    size_t length = strlen(said);

    if (length > LAST_WORDS)
        said += length - LAST_WORDS;
    fprintf(stderr, "the worker %s; it said last:\n%s", what, said);
}

int worker_stop(struct worker *worker)
{
    int status;

    /* One that has just been started may not be there yet, and would die of it. */
    WAIT_FOR(proc_takes(worker->proc, SIGTERM), PATIENCE_MS);
    proc_signal(worker->proc, SIGTERM);
    status = proc_wait(worker->proc, STOP_MS * slowness());
    if (status > 1 || (status == 1 && !worker_logged(worker, "stopped by drain.timeout", NULL)))
        tell_last_words(worker, "failed");
    return status;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    if (worker->proc && proc_wait(worker->proc, 0) == PROC_RUNNING) /* left by a failed test */
        tell_last_words(worker, "still runs");
    proc_free(worker->proc);
    scratch_free(worker->directory);
    free(worker->config);
    free(worker);
}

char *worker_path(const struct worker *worker, const char *name)
{
    return text("%s/%s", worker->directory, name);
}

/* The first line from @at on that has both texts, or NULL. */
static const char *find_line(const char *at, const char *first, const char *second)
{
    while ((at = strstr(at, first))) {
        size_t length = strcspn(at, "\n");
        const char *other = second ? strstr(at, second) : at;

        if (other && other < at + length)
            return at;
        at += length;
    }
    return NULL;
}

int worker_logged(struct worker *worker, const char *first, const char *second)
{
    const char *at = proc_stderr(worker->proc);
    int count = 0;

    while ((at = find_line(at, first, second))) {
        at += strcspn(at, "\n");
        count++;
    }
    return count;
}

void worker_expect_logged(struct worker *worker, const char *first, const char *second, int count)
{
    (void)WAIT_FOR(worker_logged(worker, first, second) >= count, PATIENCE_MS);
    if (worker_logged(worker, first, second) != count)
        fprintf(stderr, "expected %d lines with \"%s\" and \"%s\" in:\n%s", count, first,
                second ? second : "", proc_stderr(worker->proc));
    assert_int_equal(worker_logged(worker, first, second), count);
}

long worker_number(struct worker *worker, const char *event, const char *key)
{
    char *field = text(" %s=", key);
    const char *at = proc_stderr(worker->proc);
    long number = -1;

    while ((at = find_line(at, event, field))) {
        number = strtol(strstr(at, field) + strlen(field), NULL, 10);
        at += strcspn(at, "\n");
    }
    free(field);
    return number;
}
