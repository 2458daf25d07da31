/* log.c - the plugin `log`: `log.write` writes each message as one line of JSON.
 *
 * A message is acked only after its whole line was taken by write(2), and with `sync: message`
 * also by the disk. A line is one write to a descriptor with O_APPEND, so several writers may
 * share a file; a write that a full disk cut short is taken back, and the message waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <warren/handler.h>
#include <warren/middleware.h>

#include "message_json.h"

#define STDOUT_PATH "-"
/* Between attempts of a thread while the file takes nothing. */
#define FULL_AGAIN_MS 1000

struct log_file {
    pthread_mutex_t lock; /* one line at a time, and none while the file is replaced */
    char *path;           /* NULL: standard output */
    int fd;
    bool regular;
    bool sync;
    bool torn;        /* the last line is incomplete: begin the next with a newline */
    int reopen_errno; /* of a reopen that failed, until a job could report it */
    bool full;        /* it takes nothing, which was reported */
};

/* @wait  O_NONBLOCK: a pipe that nobody reads is an error (ENXIO), and is not waited for */
static int log_file_open(const char *path, int wait)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | wait, 0644);
}

/* Where it was closed there is nothing, or something that cannot be written to. */
static int standard_output(void)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);

    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY)
        return STDOUT_FILENO;
    errno = EBADF;
    return -1;
}

static void log_close(void *state)
{
    struct log_file *file = state;

    if (!file)
        return;
    if (file->path && file->fd >= 0)
        close(file->fd);
    pthread_mutex_destroy(&file->lock);
    free(file->path);
    free(file);
}

static void note_kind(struct log_file *file)
{
    struct stat status;

    file->regular = fstat(file->fd, &status) == 0 && S_ISREG(status.st_mode);
}

static enum warren_status log_open(const struct warren_subscription_info *info, void **state,
                                   struct warren_error *error)
{
    const char *path = warren_options_text(info->options, "path");
    struct log_file *file = calloc(1, sizeof *file);

    if (!file)
        return WARREN_ENOMEM;
    pthread_mutex_init(&file->lock, NULL);
    file->sync = strcmp(warren_options_text(info->options, "sync"), "message") == 0;
    if (strcmp(path, STDOUT_PATH) == 0) {
        file->fd = standard_output();
    } else {
        file->path = strdup(path);
        file->fd = file->path ? log_file_open(path, 0) : -1;
    }
    if (file->fd < 0) {
        if (file->path)
            snprintf(error->text, sizeof error->text, "cannot open %s for appending: %s", path,
                     strerror(errno));
        else
            snprintf(error->text, sizeof error->text,
                     "standard output is closed, or cannot be written to; name a file by path");
        log_close(file);
        return WARREN_EIO;
    }
    note_kind(file);
    *state = file;
    return WARREN_OK;
}

/* A pipe may be set to O_NONBLOCK by whoever else has it. */
static bool wait_writable(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};

    return poll(&waiting, 1, -1) > 0 || errno == EINTR;
}

/* What a full disk took of a line goes again, if nobody wrote behind it; else the next line
 * begins on a new one. */
static void take_back(struct log_file *file, size_t written)
{
    off_t end = lseek(file->fd, 0, SEEK_CUR);
    struct stat status;

    file->torn = true;
    if (file->regular && end >= (off_t)written && fstat(file->fd, &status) == 0 &&
        status.st_size == end && ftruncate(file->fd, end - (off_t)written) == 0)
        file->torn = false;
}

/* Somebody may have emptied it meanwhile. */
static bool is_empty(const struct log_file *file)
{
    struct stat status;

    return file->regular && fstat(file->fd, &status) == 0 && status.st_size == 0;
}

/* 0, or an errno with nothing of the line left behind. */
static int write_whole(struct log_file *file, const char *line, size_t len)
{
    size_t written = 0;

    if (file->torn && !is_empty(file)) {
        if (write(file->fd, "\n", 1) != 1)
            return errno;
    }
    file->torn = false;
    while (written < len) {
        ssize_t n = write(file->fd, line + written, len - written);

        if (n > 0) {
            written += (size_t)n;
        } else if (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_writable(file->fd)))) {
            continue;
        } else {
            int failure = n == 0 ? EIO : errno;

            if (written > 0)
                take_back(file, written);
            return failure;
        }
    }
    return 0;
}

/* The lock between processes is for take_back(): nobody may write behind a line that goes. */
static int append_line(struct log_file *file, const char *line, size_t len)
{
    int failure;

    while (file->regular && flock(file->fd, LOCK_EX) != 0 && errno == EINTR)
        continue;
    failure = write_whole(file, line, len);
    if (file->regular)
        flock(file->fd, LOCK_UN);
    if (!failure && file->sync && file->regular && fdatasync(file->fd) != 0)
        failure = errno;
    return failure;
}

/* No message is to blame for these. Each is told when it begins and when it is over. */
static bool is_full(int failure)
{
    return failure == ENOSPC || failure == EDQUOT || failure == EFBIG || failure == EPIPE ||
           failure == EIO;
}

static const char *name_of(const struct log_file *file)
{
    return file->path ? file->path : "standard output";
}

/* @change  whether that is news */
static enum warren_outcome outcome_of(const struct log_file *file, struct warren_job *job,
                                      int failure, bool change)
{
    struct pollfd cancelled = {.fd = -1, .events = POLLIN};

    if (!failure && change)
        warren_job_log(job, WARREN_LOG_INFO, "%s can be written to again", name_of(file));
    if (!failure)
        return WARREN_ACK;
    warren_job_fail(job, "cannot write to %s: %s", name_of(file), strerror(failure));
    if (!is_full(failure))
        return WARREN_RETRY;
    if (change)
        warren_job_log(job, WARREN_LOG_ERROR, "cannot write to %s: %s; messages wait",
                       name_of(file), strerror(failure));
    cancelled.fd = warren_job_cancel_fd(job);
    /* Here, for the other messages could not be written either: the queue stays as it is. */
    poll(&cancelled, 1, FULL_AGAIN_MS);
    warren_job_forgive(job);
    warren_job_retry_after(job, 0);
    return WARREN_RETRY;
}

static enum warren_outcome log_write(struct warren_job *job, void *state)
{
    struct log_file *file = state;
    size_t len = 0;
    char *line = message_json(job, &len);
    int failure, reopen_errno;
    bool change;

    if (!line) {
        warren_job_fail(job, "no memory for the line");
        return WARREN_RETRY;
    }
    pthread_mutex_lock(&file->lock);
    failure = append_line(file, line, len);
    reopen_errno = file->reopen_errno;
    file->reopen_errno = 0;
    change = file->full != is_full(failure);
    file->full = is_full(failure);
    pthread_mutex_unlock(&file->lock);
    free(line);

    if (reopen_errno)
        warren_job_log(job, WARREN_LOG_ERROR, "cannot reopen %s: %s; still writing to the old file",
                       file->path, strerror(reopen_errno));
    return outcome_of(file, job, failure, change);
}

/* After logrotate moved the file away. The old one stays in use if there is no new one. */
static void log_reopen(void *state)
{
    struct log_file *file = state;
    int fd;

    if (!file->path)
        return;
    fd = log_file_open(file->path, O_NONBLOCK);
    pthread_mutex_lock(&file->lock);
    if (fd < 0) {
        file->reopen_errno = errno;
    } else {
        close(file->fd);
        file->fd = fd;
        file->torn = false;
        note_kind(file);
    }
    pthread_mutex_unlock(&file->lock);
}

static const struct warren_option log_options[] = {
    {.name = "path",
     .type = WARREN_OPTION_PATH,
     .fallback = STDOUT_PATH,
     .help = "The file that lines are appended to, created if it does not exist; - is standard "
             "output."},
    {.name = "sync",
     .type = WARREN_OPTION_ENUM,
     .fallback = "none",
     .choices = "none|message",
     .help = "When a line is on the disk: when the system likes, or before its message is acked."},
    {0},
};

static const struct warren_handler log_handlers[] = {
    {.name = "write",
     .help = "Write each message as one line of JSON to a file or to standard output.",
     .options = log_options,
     .open = log_open,
     .handle = log_write,
     .close = log_close,
     .reopen = log_reopen},
    {0},
};

WARREN_PLUGIN(.name = "log", .version = WARREN_VERSION, .handlers = log_handlers)
