/* log_writer.c - the thread behind the log.
 *
 * Lines are gathered up to PIPE_BUF bytes: poll() promises that a pipe takes that many without
 * blocking, so a reader that stops reading stops neither us nor log_stop(). Where lines go to a
 * function, it is called with one at a time.
 */
#include "base/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_ring.h"
#include "base/thread.h"

/** Longest sleep while the sink takes nothing, so that the end of log_stop() is seen in time. */
#define SINK_POLL_MS 20
/** What a process that ends waits for room for its last line. */
#define LAST_MS 1000
/** A number that nobody closes by mistake. */
#define SPARE_MIN 200

static struct {
    pthread_mutex_t life; /* one log_start() or log_stop() at a time */
    pthread_t thread;
    struct ring ring;
    _Atomic(warren_log_fn *) take; /* where lines go; NULL: into the sink, or to stderr */
    void *take_user;               /* written while @take is NULL */
    int sink;
    int spare; /* where the sink led at the start, for the last line; -1: none */
    struct stat led;
    sem_t wakeup;
    atomic_bool running;    /* lines go into the ring */
    atomic_uint pushing;    /* threads inside of log_writer_take() */
    atomic_bool sleeping;   /* the thread needs the semaphore to go on */
    _Atomic int64_t end_ns; /* when to give up; 0: not stopping */
    _Atomic uint64_t dropped;
    uint64_t dropped_told; /* the thread's */
} writer = {.life = PTHREAD_MUTEX_INITIALIZER, .spare = -1};

static void write_stderr(const char *text, uint32_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, text, len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        text += written;
        len -= (uint32_t)written;
    }
}

static void wake(void)
{
    sem_post(&writer.wakeup);
}

/* @text is cut at its newline. @return false: there is no such function */
static bool hand_over(enum warren_log_level level, char *text, uint32_t len)
{
    warren_log_fn *take = atomic_load(&writer.take);

    if (!take)
        return false;
    text[len - 1] = '\0';
    take(level, text, writer.take_user);
    return true;
}

static void write_at_once(enum warren_log_level level, const char *text, uint32_t len)
{
    char copy[LOG_LINE_MAX];

    memcpy(copy, text, len);
    if (!hand_over(level, copy, len))
        write_stderr(text, len);
}

void log_writer_take(enum warren_log_level level, const char *text, uint32_t len)
{
    /* Counted, so that log_stop() can wait for those who saw the ring open. */
    atomic_fetch_add(&writer.pushing, 1);
    if (!atomic_load(&writer.running))
        write_at_once(level, text, len);
    else if (!log_ring_push(&writer.ring, level, text, len))
        atomic_fetch_add(&writer.dropped, 1);
    else if (atomic_load(&writer.sleeping) && atomic_exchange(&writer.sleeping, false))
        wake();
    atomic_fetch_sub(&writer.pushing, 1);
}

static bool leads_there(int fd)
{
    struct stat now;

    return fd >= 0 && fstat(fd, &now) == 0 && now.st_dev == writer.led.st_dev &&
           now.st_ino == writer.led.st_ino;
}

/* ---- the thread ---- */

struct gathered {
    size_t len;
    uint64_t lines;
    enum warren_log_level level; /* of the last line */
    char bytes[PIPE_BUF];
};

_Static_assert(PIPE_BUF >= 2 * LOG_LINE_MAX, "a line and the report of lost lines must fit");

static bool time_is_over(void)
{
    int64_t end_ns = atomic_load(&writer.end_ns);

    return end_ns != 0 && clock_now_ns(clock_monotonic()) >= end_ns;
}

static void gather_lost(struct gathered *gathered)
{
    uint64_t dropped = atomic_load(&writer.dropped);
    struct log_line line;

    if (dropped == writer.dropped_told)
        return;
    log_begin(&line, WARREN_LOG_WARN, "log lines lost, the sink is slow");
    log_int(&line, "lost", (int64_t)(dropped - writer.dropped_told));
    log_close(&line);
    writer.dropped_told = dropped;
    memcpy(gathered->bytes + gathered->len, line.text, line.len);
    gathered->len += line.len;
    gathered->level = line.level;
}

static void gather(struct gathered *gathered)
{
    bool one = atomic_load(&writer.take) != NULL;
    const struct log_slot *slot;

    gathered->len = 0;
    gathered->lines = 0;
    gather_lost(gathered);
    while (!(one && gathered->len > 0) && (slot = ring_peek(&writer.ring)) &&
           slot->len <= sizeof gathered->bytes - gathered->len) {
        memcpy(gathered->bytes + gathered->len, slot->text, slot->len);
        gathered->len += slot->len;
        gathered->lines++;
        gathered->level = slot->level;
        ring_pop(&writer.ring);
    }
}

/* Wait until the sink takes bytes. False: time is over. A regular file is always ready. */
static bool sink_ready(void)
{
    struct pollfd sink = {.fd = writer.sink, .events = POLLOUT};

    do {
        if (poll(&sink, 1, SINK_POLL_MS) > 0)
            return true;
    } while (!time_is_over());
    return false;
}

static bool write_gathered(struct gathered *gathered)
{
    size_t written = 0;

    if (hand_over(gathered->level, gathered->bytes, (uint32_t)gathered->len))
        return true;
    while (written < gathered->len) {
        ssize_t n;

        if (!sink_ready())
            return false;
        n = write(writer.sink, gathered->bytes + written, gathered->len - written);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (n > 0)
            written += (size_t)n;
    }
    return true;
}

static void sleep_until_woken(void)
{
    atomic_store(&writer.sleeping, true);
    if (!ring_peek(&writer.ring) && atomic_load(&writer.end_ns) == 0)
        sem_wait(&writer.wakeup);
    atomic_store(&writer.sleeping, false);
    while (sem_trywait(&writer.wakeup) == 0)
        ;
}

static void *writer_main(void *arg)
{
    struct gathered gathered;
    bool stopping;

    (void)arg;
    do {
        /* Read before gathering: what was pushed before the stop is then seen. */
        stopping = atomic_load(&writer.end_ns) != 0;
        gather(&gathered);
        if (gathered.len > 0 && !write_gathered(&gathered))
            atomic_fetch_add(&writer.dropped, gathered.lines);
        else if (gathered.len == 0 && !stopping)
            sleep_until_woken();
    } while (!(stopping && (gathered.len == 0 || time_is_over())));
    while (ring_peek(&writer.ring)) {
        atomic_fetch_add(&writer.dropped, 1);
        ring_pop(&writer.ring);
    }
    return NULL;
}

/* ---- its life ---- */

static void watch_sink(int fd)
{
    if (!atomic_load(&writer.take) && fstat(fd, &writer.led) == 0)
        writer.spare = fcntl(fd, F_DUPFD_CLOEXEC, SPARE_MIN);
}

/* The one that is to write the last line, for the end of the process, has its number still. */
static void forget_sink(void)
{
    if (leads_there(writer.sink)) {
        close(writer.spare);
        writer.spare = -1;
    }
}

void log_writer_last(enum warren_log_level level, char *text, uint32_t len)
{
    bool started = writer.led.st_ino != 0;
    int fd = leads_there(writer.spare)  ? writer.spare
             : leads_there(writer.sink) ? writer.sink
             : started                  ? -1 /* nobody is there to read it */
                                        : STDERR_FILENO;
    struct pollfd sink = {.fd = fd, .events = POLLOUT};

    if (hand_over(level, text, len))
        return;
    if (poll(&sink, 1, LAST_MS) > 0 && write(fd, text, len) < 0)
        return;
}

/* In a child of fork(2): its lines go to stderr, until it starts a log of its own. */
static void leave_to_parent(void)
{
    pthread_mutex_init(&writer.life, NULL);
    atomic_store(&writer.running, false);
    atomic_store(&writer.pushing, 0);
    atomic_store(&writer.take, NULL);
    writer.spare = -1;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, leave_to_parent);
}

static enum warren_status start(int fd)
{
    enum warren_status status;

    if (atomic_load(&writer.running))
        return WARREN_EINVAL;
    writer.sink = fd;
    atomic_store(&writer.end_ns, 0);
    atomic_store(&writer.sleeping, false);
    atomic_store(&writer.dropped, 0);
    writer.dropped_told = 0;
    sem_init(&writer.wakeup, 0, 0);
    status = log_ring_init(&writer.ring);
    if (status == WARREN_OK)
        status = thread_start(&writer.thread, "warren-log", writer_main, NULL, NULL);
    if (status != WARREN_OK) {
        ring_done(&writer.ring);
        sem_destroy(&writer.wakeup);
        return status;
    }
    watch_sink(fd);
    atomic_store(&writer.running, true);
    return WARREN_OK;
}

enum warren_status log_start(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    enum warren_status status;

    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&writer.life);
    status = start(fd);
    pthread_mutex_unlock(&writer.life);
    return status;
}

static void stop(uint32_t timeout_ms)
{
    if (!atomic_load(&writer.running))
        return;
    atomic_store(&writer.running, false);
    /* A push is a copy of 2 KiB at most; nobody in there waits for anything. */
    while (atomic_load(&writer.pushing) > 0)
        sched_yield();
    atomic_store(&writer.end_ns, clock_now_ns(clock_monotonic()) + (int64_t)timeout_ms * 1000000);
    wake();
    pthread_join(writer.thread, NULL);
    sem_destroy(&writer.wakeup);
    forget_sink();
    ring_done(&writer.ring);
}

void log_stop(uint32_t timeout_ms)
{
    pthread_mutex_lock(&writer.life);
    stop(timeout_ms);
    pthread_mutex_unlock(&writer.life);
}

/* Nobody is in a function that is given back when this returns. */
static enum warren_status divert(warren_log_fn *take, void *user)
{
    if (atomic_load(&writer.running) || (take && atomic_load(&writer.take)))
        return WARREN_EINVAL;
    if (take)
        writer.take_user = user;
    atomic_store(&writer.take, take);
    while (!take && atomic_load(&writer.pushing) > 0)
        sched_yield();
    return WARREN_OK;
}

enum warren_status log_divert(warren_log_fn *take, void *user)
{
    enum warren_status status;

    pthread_mutex_lock(&writer.life);
    status = divert(take, user);
    pthread_mutex_unlock(&writer.life);
    return status;
}

uint64_t log_dropped(void)
{
    return atomic_load(&writer.dropped);
}
