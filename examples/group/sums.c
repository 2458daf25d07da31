/* sums.c - a handler that reads several files at the same time, and replies with their sizes.
 *
 * The body has the names of files, one a line. Each is read by a function of a group, at most
 * `at_once` of them at the same time; the first that cannot be read ends the attempt.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <warren/group.h>

#define FILES_MAX 64

struct sums {
    uint32_t at_once;
};

/* Of one function: it must live until the function has ended. */
struct file {
    char name[256];
    size_t bytes;
};

static const struct warren_option options[] = {
    {"at_once", WARREN_OPTION_INT, "4", 1, 64, NULL, "How many files are read at the same time."},
    {0}};

static enum warren_status sums_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    struct sums *sums = calloc(1, sizeof *sums);

    (void)error;
    if (!sums)
        return WARREN_ENOMEM;
    sums->at_once = (uint32_t)warren_options_int(info->options, "at_once");
    *state = sums;
    return WARREN_OK;
}

/* On any thread: it has nothing of the job but what it was given. */
static enum warren_status read_file(struct warren_group_call *call, void *user)
{
    struct file *file = user;
    FILE *in = fopen(file->name, "re");
    char block[4096];
    size_t len;

    if (!in) {
        warren_group_fail(call, "%s: %s", file->name, strerror(errno));
        return WARREN_EIO;
    }
    while (!warren_group_cancelled(call) && (len = fread(block, 1, sizeof block, in)) > 0)
        file->bytes += len;
    fclose(in);
    return warren_group_cancelled(call) ? WARREN_ECLOSED : WARREN_OK;
}

static size_t split(struct warren_bytes body, struct file *files)
{
    const char *at = body.data;
    const char *end = at + body.len;
    size_t count = 0;

    while (at < end && count < FILES_MAX) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line ? line : end) - at);

        if (len > 0 && len < sizeof files->name) {
            memcpy(files[count].name, at, len);
            files[count++].name[len] = '\0';
        }
        at += len + 1;
    }
    return count;
}

static enum warren_outcome add_up(struct warren_job *job, void *state)
{
    const struct sums *sums = state;
    struct file *files = warren_job_alloc(job, FILES_MAX * sizeof *files);
    struct warren_group *group;
    char text[32];
    size_t total = 0;
    size_t count;

    if (!files)
        return WARREN_RETRY;
    memset(files, 0, FILES_MAX * sizeof *files);
    count = split(warren_job_body(job), files);
    if (warren_group_new(job, sums->at_once, WARREN_GROUP_FIRST, &group) != WARREN_OK)
        return WARREN_RETRY;
    for (size_t i = 0; i < count; i++)
        warren_group_run(group, read_file, &files[i]);
    if (warren_group_wait(group) != WARREN_OK) /* the error is that of the first that failed */
        return WARREN_RETRY;
    for (size_t i = 0; i < count; i++)
        total += files[i].bytes;
    snprintf(text, sizeof text, "%zu", total);
    warren_job_log(job, WARREN_LOG_INFO, "%zu files, %s bytes", count, text);
    switch (warren_job_reply(job, &(struct warren_message){.body = warren_text(text)})) {
    case WARREN_OK:
    case WARREN_ENOTFOUND: /* nobody asked for a reply */
        return WARREN_ACK;
    default:
        return WARREN_RETRY;
    }
}

static const struct warren_handler handlers[] = {{.name = "add_up",
                                                  .help = "Reads files at the same time.",
                                                  .options = options,
                                                  .open = sums_open,
                                                  .handle = add_up,
                                                  .close = free},
                                                 {0}};

WARREN_PLUGIN(.name = "sums", .version = "1.0.0", .handlers = handlers)
