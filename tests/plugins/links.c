/* links.c - middlewares that tell a test where they stand.
 *
 *   links.outer, links.inner  append "NAME>" to `path` before the rest of the chain and "<NAME
 *                             OUTCOME" after it; with `answer` the rest does not run, and the
 *                             outcome is that; SIGHUP changes `text`, which stands behind NAME>
 *   links.door                admits nothing while the file `path` exists
 *   links.broken              cannot be opened
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/middleware.h>

#define TEXT_SIZE 64
#define LINE_SIZE 128

struct mark {
    int fd;
    int answer; /* an outcome; -1: run the rest */
    pthread_mutex_t mutex;
    char text[TEXT_SIZE]; /* with the mutex */
};

static const struct warren_option mark_options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"answer", WARREN_OPTION_ENUM, "run", 0, 0, "run|ack|retry|reject|discard|requeue",
     "What is answered instead of running the rest."},
    {"text", WARREN_OPTION_STRING, "", 0, 0, NULL, "What stands in the lines."},
    {0}};

static int answer_of(const char *name)
{
    for (int i = WARREN_ACK; i <= WARREN_REQUEUE; i++) {
        if (strcmp(warren_outcome_name((enum warren_outcome)i), name) == 0)
            return i;
    }
    return -1;
}

static void mark_reload(void *state, const struct warren_options *options)
{
    struct mark *mark = state;

    pthread_mutex_lock(&mark->mutex);
    snprintf(mark->text, sizeof mark->text, "%s", warren_options_text(options, "text"));
    pthread_mutex_unlock(&mark->mutex);
}

static enum warren_status mark_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    const char *path = warren_options_text(info->options, "path");
    struct mark *mark = calloc(1, sizeof *mark);

    if (!mark)
        return WARREN_ENOMEM;
    pthread_mutex_init(&mark->mutex, NULL);
    mark_reload(mark, info->options);
    mark->answer = answer_of(warren_options_text(info->options, "answer"));
    mark->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (mark->fd < 0) {
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(mark);
        return WARREN_EIO;
    }
    *state = mark;
    return WARREN_OK;
}

/* In one write each: threads share the file. */
static void append(const struct mark *mark, const char *line)
{
    size_t length = strlen(line);

    if (write(mark->fd, line, length) != (ssize_t)length)
        abort();
}

static enum warren_outcome call_named(const char *name, struct warren_job *job,
                                      const struct warren_link *next, struct mark *mark)
{
    enum warren_outcome outcome = (enum warren_outcome)mark->answer;
    char line[LINE_SIZE];

    pthread_mutex_lock(&mark->mutex);
    snprintf(line, sizeof line, "%s>%s\n", name, mark->text);
    pthread_mutex_unlock(&mark->mutex);
    append(mark, line);
    if (mark->answer < 0)
        outcome = warren_next(job, next);
    snprintf(line, sizeof line, "<%s %s\n", name, warren_outcome_name(outcome));
    append(mark, line);
    return outcome;
}

static enum warren_outcome outer_call(struct warren_job *job, const struct warren_link *next,
                                      void *state)
{
    return call_named("outer", job, next, state);
}

static enum warren_outcome inner_call(struct warren_job *job, const struct warren_link *next,
                                      void *state)
{
    return call_named("inner", job, next, state);
}

static void mark_close(void *state)
{
    struct mark *mark = state;

    close(mark->fd);
    pthread_mutex_destroy(&mark->mutex);
    free(mark);
}

/* ---- door ---- */

static const struct warren_option door_options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "While it exists nothing is admitted."}, {0}};

static enum warren_status door_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    (void)error;
    *state = strdup(warren_options_text(info->options, "path"));
    return *state ? WARREN_OK : WARREN_ENOMEM;
}

static uint32_t door_may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    (void)now_ms;
    if (access(state, F_OK) != 0)
        return want;
    *ret_retry_ms = 5;
    return 0;
}

static enum warren_status broken_open(const struct warren_subscription_info *info, void **state,
                                      struct warren_error *error)
{
    (void)info;
    (void)state;
    snprintf(error->text, sizeof error->text, "broken on purpose");
    return WARREN_EIO;
}

static const struct warren_middleware middlewares[] = {
    {.name = "outer",
     .help = "Writes lines around the rest of the chain.",
     .options = mark_options,
     .open = mark_open,
     .call = outer_call,
     .reload = mark_reload,
     .close = mark_close,
     .fixed = "path|answer"},
    {.name = "inner",
     .options = mark_options,
     .open = mark_open,
     .call = inner_call,
     .close = mark_close},
    {.name = "door", .options = door_options, .open = door_open, .may = door_may, .close = free},
    {.name = "broken", .open = broken_open},
    {0},
};

WARREN_PLUGIN(.name = "links", .version = "1", WARREN_MIDDLEWARES(middlewares))
