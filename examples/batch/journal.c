/* journal.c - a handler of batches: `journal.append` appends each message as a line to a file, and
 * flushes the file to the disk once for all of them. A flush takes milliseconds, so that is what
 * many messages are to share.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/batch.h>

struct journal {
    int fd;
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "The file."}, {0}};

static enum warren_status journal_open(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    const char *path = warren_options_text(info->options, "path");
    struct journal *journal = malloc(sizeof *journal);

    if (!journal)
        return WARREN_ENOMEM;
    journal->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (journal->fd < 0) {
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(journal);
        return WARREN_EIO;
    }
    *state = journal;
    return WARREN_OK;
}

static void journal_close(void *state)
{
    struct journal *journal = state;

    close(journal->fd);
    free(journal);
}

/* What has a line end in it would be two lines: that message alone is refused. */
static size_t add_line(struct warren_batch *batch, size_t index, char *to)
{
    struct warren_job *job = warren_batch_job(batch, index);
    struct warren_bytes body = warren_job_body(job);

    if (body.len > 0 && memchr(body.data, '\n', body.len)) {
        warren_job_fail(job, "the body has more than one line");
        warren_batch_set(batch, index, WARREN_REJECT);
        return 0;
    }
    memcpy(to, body.data, body.len);
    to[body.len] = '\n';
    return body.len + 1;
}

static enum warren_outcome append(struct warren_batch *batch, void *state)
{
    const struct journal *journal = state;
    size_t count = warren_batch_count(batch);
    size_t size = 0;
    size_t len = 0;
    char *lines;

    for (size_t i = 0; i < count; i++)
        size += warren_job_body(warren_batch_job(batch, i)).len + 1;
    lines = malloc(size);
    if (!lines)
        return WARREN_RETRY; /* all of them */
    for (size_t i = 0; i < count; i++)
        len += add_line(batch, i, lines + len);
    if (write(journal->fd, lines, len) != (ssize_t)len || fdatasync(journal->fd) != 0)
        len = 0;
    free(lines);
    return len > 0 ? WARREN_ACK : WARREN_RETRY; /* all but those that were refused */
}

static const struct warren_handler handlers[] = {{.name = "append",
                                                  .help = "Appends messages to a file.",
                                                  .options = options,
                                                  .open = journal_open,
                                                  .close = journal_close,
                                                  .handle_batch = append},
                                                 {0}};

WARREN_PLUGIN(.name = "journal", .version = "1.0.0", .handlers = handlers)
