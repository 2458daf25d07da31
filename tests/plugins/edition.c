/* edition.c - a plugin that is replaced while it runs: a test makes another one of it by writing
 * other letters over those of `mark`.
 *
 *   edition.mark   appends "MARK ID" to `path`; while the file `gate` exists a message of that body
 *                  ("wait") waits; then appends "MARK ID done"
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/handler.h>

static const char mark[] = "edition-one";

struct edition {
    int fd;
    const char *gate;
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"gate", WARREN_OPTION_STRING, "", 0, 0, NULL, "While this file exists, messages wait."},
    {0}};

static void write_line(const struct edition *edition, struct warren_job *job, const char *more)
{
    const char *id = warren_job_properties(job)->message_id;
    const char *volatile text = mark; /* read when it runs */
    char line[256];
    int len = snprintf(line, sizeof line, "%s %s%s\n", text, id ? id : "-", more);

    if (write(edition->fd, line, (size_t)len) != len)
        abort();
}

static enum warren_status open_edition(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    struct edition *edition = calloc(1, sizeof *edition);
    const char *path = warren_options_text(info->options, "path");

    (void)error;
    if (!edition)
        return WARREN_ENOMEM;
    edition->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    edition->gate = warren_options_text(info->options, "gate");
    *state = edition;
    return edition->fd >= 0 ? WARREN_OK : WARREN_EIO;
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    const struct timespec rest = {.tv_nsec = 5000000};
    const struct edition *edition = state;
    struct warren_bytes body = warren_job_body(job);

    write_line(edition, job, "");
    if (body.len == 4 && memcmp(body.data, "wait", 4) == 0)
        while (access(edition->gate, F_OK) == 0)
            nanosleep(&rest, NULL);
    write_line(edition, job, " done");
    return WARREN_ACK;
}

static void close_edition(void *state)
{
    struct edition *edition = state;

    close(edition->fd);
    free(edition);
}

static const struct warren_handler handlers[] = {{.name = "mark",
                                                  .options = options,
                                                  .open = open_edition,
                                                  .handle = handle,
                                                  .close = close_edition},
                                                 {0}};

WARREN_PLUGIN(.name = "edition", .version = "1", .handlers = handlers)
