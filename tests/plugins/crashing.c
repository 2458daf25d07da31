/* crashing.c - a handler that ends in the way that the body says.
 *
 *   "segv" "bus" "fpe" "ill"   the fault itself
 *   "abrt"                     raise(3)
 *   "abort"                    abort(3)
 *   "null"                     a call of a NULL pointer
 *   "overflow"                 a recursion without an end
 *   "kill"                     SIGKILL for the whole process, once the file `gate` is there
 *   "close TEXT"               closes all descriptors whose file has TEXT in its name, then acks
 *   "swap TEXT"                the same, and puts /dev/null in their places
 *   "stray"                    changes what outlives execve(2) of the process, then "segv"
 *   "overrun"                  spoils the heap behind a block of its own, works, then acks
 *   "lock"                     a fault while it holds a lock that `close` takes, if it says so
 *   "hold"                     keeps that lock for ever, and acks
 *   "hang"                     does not return
 *   "fail"                     a failed attempt, to be repeated after `again`
 *   "exit"                     exit(0), which ends the process
 *   "quick"                    quick_exit(0)
 *   "leave"                    pthread_exit(3), which ends the thread
 *   "cancel"                   pthread_cancel(3) of its own thread, works, then acks
 *   "stay"                     does not return before it is delivered again
 *   "group-segv" "group-hang" ... the same in a function of a group, on a thread beside the
 * handler's "key-segv" "key-overflow"  crashing.keyed: the fault in `key`; else the key is the body
 *   "before-segv"              the fault in `before` of the middleware crashing.ahead
 *   "slow"                     works for `slow`, then acks
 *   any other                  works for `work`, then acks
 *
 * It appends lines to `path`: "begin ID ATTEMPT" and, if it returns, "done ID ATTEMPT".
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <warren/group.h>
#include <warren/middleware.h>

struct crashing {
    int fd;
    int work_ms;
    int slow_ms;
    int again_ms;
    const char *to;
    const char *gate;
    bool close_locks;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that this plugin has */

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"work", WARREN_OPTION_DURATION, "0ms", 0, 600000, NULL, "How long a good message takes."},
    {"slow", WARREN_OPTION_DURATION, "1s", 0, 600000, NULL, "How long a slow one takes."},
    {"to", WARREN_OPTION_STRING, "", 0, 0, NULL, "The queue that good bodies are published to."},
    {"gate", WARREN_OPTION_PATH, "", 0, 0, NULL, "The file that SIGKILL waits for."},
    {"close_locks", WARREN_OPTION_BOOL, "false", 0, 0, NULL, "Closing takes the lock."},
    {"again", WARREN_OPTION_DURATION, "0ms", 0, 600000, NULL, "When a failed one is due again."},
    {0}};

static enum warren_status crashing_open(const struct warren_subscription_info *info, void **state,
                                        struct warren_error *error)
{
    struct crashing *crashing = calloc(1, sizeof *crashing);
    const char *path = warren_options_text(info->options, "path");

    if (!crashing)
        return WARREN_ENOMEM;
    crashing->work_ms = (int)warren_options_int(info->options, "work");
    crashing->again_ms = (int)warren_options_int(info->options, "again");
    crashing->slow_ms = (int)warren_options_int(info->options, "slow");
    crashing->to = warren_options_text(info->options, "to");
    crashing->gate = warren_options_text(info->options, "gate");
    crashing->close_locks = warren_options_bool(info->options, "close_locks");
    crashing->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (crashing->fd < 0) {
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(crashing);
        return WARREN_EIO;
    }
    *state = crashing;
    return WARREN_OK;
}

static void crashing_close(void *state)
{
    struct crashing *crashing = state;

    if (crashing->close_locks) {
        pthread_mutex_lock(&lock);
        pthread_mutex_unlock(&lock);
    }
    close(crashing->fd);
    free(crashing);
}

static void record(const struct crashing *crashing, struct warren_job *job, const char *what)
{
    const char *id = warren_job_properties(job)->message_id;

    dprintf(crashing->fd, "%s %s %" PRIu32 "\n", what, id ? id : "-", warren_job_attempt(job));
}

static void work(int ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

    if (ms > 0)
        nanosleep(&time, NULL);
}

/* ---- the faults; a sanitizer would find them first ---- */

#define FAULT __attribute__((noinline, no_sanitize("address", "undefined", "thread")))

static int *volatile nowhere;
static void (*volatile no_function)(void);
static volatile int zero;

static FAULT void read_nowhere(void)
{
    *nowhere = 42;
}

/* A page of a mapping that the file has not. */
static FAULT void read_behind_the_file(void)
{
    int fd = memfd_create("short", MFD_CLOEXEC);
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    zero = page[0];
}

static FAULT void divide_by_zero(void)
{
#if defined(__x86_64__) || defined(__i386__)
    zero = 42 / zero;
#endif
    raise(SIGFPE); /* where a division by zero is none */
}

static FAULT void do_nonsense(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("ud2");
#endif
    raise(SIGILL);
}

static FAULT int recurse(int depth)
{
    volatile char frame[512];

    frame[depth % 512] = (char)depth;
    return zero == 1 ? 0 : recurse(depth + 1) + frame[depth % 512];
}

static void hang(void)
{
    while (zero == 0)
        work(1000);
}

/* As malloc() would, if the fault were in it: who waits for the lock waits for ever. */
static void die_with_lock(void)
{
    pthread_mutex_lock(&lock);
    read_nowhere();
}

static void raise_abrt(void)
{
    raise(SIGABRT);
}

static void kill_all(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void stray(void)
{
    char gone[] = "/tmp/crashing.XXXXXX";

    if (!mkdtemp(gone) || chdir(gone) != 0 || rmdir(gone) != 0)
        _exit(1);
    umask(0777);
    signal(SIGCHLD, SIG_IGN);
    read_nowhere();
}

/* What is freed behind the handler has the mark of the next block spoiled. */
static FAULT void overrun(struct warren_job *job)
{
    volatile char *block = warren_job_alloc(job, 8000);

    for (size_t i = 0; block && i < 12000; i++)
        block[i] = 'x';
}

static void overflow(void)
{
    zero = recurse(2);
}

static void call_null(void)
{
    no_function();
}

static void await_gate(const char *gate)
{
    while (gate && *gate && access(gate, F_OK) != 0)
        work(1);
}

static void exit_well(void)
{
    exit(0);
}

static void exit_quickly(void)
{
    quick_exit(0);
}

static void leave(void)
{
    pthread_exit(NULL);
}

static void cancel(void)
{
    pthread_cancel(pthread_self());
    pthread_testcancel();
}

static const struct {
    const char *word;
    void (*end)(void);
} ends[] = {
    {"segv", read_nowhere}, {"bus", read_behind_the_file}, {"fpe", divide_by_zero},
    {"ill", do_nonsense},   {"abrt", raise_abrt},          {"abort", abort},
    {"null", call_null},    {"overflow", overflow},        {"kill", kill_all},
    {"hang", hang},         {"lock", die_with_lock},       {"stray", stray},
    {"exit", exit_well},    {"quick", exit_quickly},       {"leave", leave},
    {"cancel", cancel},
};

/* As by closing a number twice, which meanwhile was given to somebody else. */
static void take_away(const char *what, bool swap)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; fd < 1000; fd++) {
        char path[32];
        char target[4096] = "";

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (fd == null || readlink(path, target, sizeof target - 1) < 0 || !strstr(target, what))
            continue;
        if (swap)
            dup3(null, fd, O_CLOEXEC);
        else
            close(fd);
    }
    close(null);
}

static bool begins(struct warren_bytes body, const char *words, char *rest, size_t size)
{
    size_t len = strlen(words);

    if (body.len < len || memcmp(body.data, words, len) != 0)
        return false;
    snprintf(rest, size, "%.*s", (int)(body.len - len), (const char *)body.data + len);
    return true;
}

static bool says(struct warren_bytes body, const char *word)
{
    return body.len == strlen(word) && memcmp(body.data, word, body.len) == 0;
}

static bool pass_on(struct warren_job *job, const char *to)
{
    struct warren_message copy = {.properties = *warren_job_properties(job),
                                  .body = warren_job_body(job)};

    return !*to || warren_job_publish(job, "", to, &copy) == WARREN_OK;
}

/* ---- in a function of a group ---- */

struct ending {
    void (*end)(void);
    bool begun; /* guarded by the lock */
};

static enum warren_status end_in_group(struct warren_group_call *call, void *user)
{
    struct ending *ending = user;

    (void)call;
    pthread_mutex_lock(&lock);
    ending->begun = true;
    pthread_mutex_unlock(&lock);
    ending->end();
    return WARREN_OK;
}

static void crash_in_group(struct warren_job *job, const char *word)
{
    struct ending ending = {.end = NULL};
    struct warren_group *group;
    bool begun = false;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(word, ends[i].word) == 0)
            ending.end = ends[i].end;
    if (!ending.end || warren_group_new(job, 0, WARREN_GROUP_FIRST, &group) != WARREN_OK)
        return;
    warren_group_run(group, end_in_group, &ending);
    while (!begun) { /* else this thread would run it, while it waits */
        work(1);
        pthread_mutex_lock(&lock);
        begun = ending.begun;
        pthread_mutex_unlock(&lock);
    }
    warren_group_wait(group);
}

static enum warren_outcome run(struct warren_job *job, void *state)
{
    struct crashing *crashing = state;
    struct warren_bytes body = warren_job_body(job);
    char what[128];

    record(crashing, job, "begin");
    if (says(body, "kill"))
        await_gate(crashing->gate);
    if (says(body, "stay") && !warren_job_redelivered(job))
        hang();
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (says(body, ends[i].word))
            ends[i].end();
    if (begins(body, "group-", what, sizeof what))
        crash_in_group(job, what);
    if (says(body, "fail")) {
        warren_job_retry_after(job, crashing->again_ms);
        return WARREN_RETRY;
    }
    if (begins(body, "close ", what, sizeof what))
        take_away(what, false);
    if (begins(body, "swap ", what, sizeof what))
        take_away(what, true);
    if (says(body, "hold"))
        pthread_mutex_lock(&lock);
    if (says(body, "overrun"))
        overrun(job);
    work(says(body, "slow") ? crashing->slow_ms : crashing->work_ms);
    if (!pass_on(job, crashing->to))
        return WARREN_RETRY;
    record(crashing, job, "done");
    return WARREN_ACK;
}

/* ---- on the event loop ---- */

static void crash_if(struct warren_job *job, const char *prefix)
{
    char word[16];

    if (!begins(warren_job_body(job), prefix, word, sizeof word))
        return;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(word, ends[i].word) == 0)
            ends[i].end();
}

static struct warren_bytes key_of(struct warren_job *job, void *state)
{
    (void)state;
    crash_if(job, "key-");
    return warren_job_body(job);
}

static bool look(struct warren_job *job, struct warren_passage *passage, void *state,
                 void **ret_mark)
{
    (void)passage;
    (void)state;
    (void)ret_mark;
    crash_if(job, "before-");
    return true;
}

static bool look_back(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                      void *state)
{
    (void)passage;
    (void)outcome;
    (void)mark;
    (void)state;
    return true;
}

static const struct warren_middleware middlewares[] = {
    {.name = "ahead", .before = look, .after = look_back}, {0}};

static const struct warren_handler handlers[] = {{.name = "run",
                                                  .help = "Ends in the way that the body says.",
                                                  .options = options,
                                                  .open = crashing_open,
                                                  .handle = run,
                                                  .close = crashing_close},
                                                 {.name = "keyed",
                                                  .options = options,
                                                  .open = crashing_open,
                                                  .handle = run,
                                                  .close = crashing_close,
                                                  .key = key_of},
                                                 {0}};

WARREN_PLUGIN(.name = "crashing", .version = "1.0.0", .handlers = handlers,
              WARREN_MIDDLEWARES(middlewares))
