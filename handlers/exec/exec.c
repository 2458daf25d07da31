/* exec.c - the plugin `exec`: `exec.run` runs a command for each message.
 *
 * The command is a list of words, started without a shell. It finds the body on its standard
 * input and the properties in its environment (environment.h); its exit status is the outcome.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <warren/handler.h>

#include "child.h"
#include "environment.h"

/* EX_TEMPFAIL and EX_DATAERR of sysexits.h. */
#define RETRY_ON  "75"
#define REJECT_ON "65"

#define STATUS_COUNT 256

/* Lines of a command's output that one attempt may put into the log. */
#define OUTPUT_LINES_MAX 50

struct exec {
    char **command;
    int64_t timeout_ms;
    int64_t kill_after_ms;
    enum warren_outcome outcomes[STATUS_COUNT]; /* by exit status */
};

static enum warren_status fail(struct warren_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum warren_status fail(struct warren_error *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return WARREN_EINVAL;
}

static void exec_close(void *state)
{
    struct exec *exec = state;

    if (!exec)
        return;
    for (size_t i = 0; exec->command && exec->command[i]; i++)
        free(exec->command[i]);
    free(exec->command);
    free(exec);
}

/* A directory may be "executed", too. */
static bool is_program(const char *path)
{
    struct stat found;

    return access(path, X_OK) == 0 && stat(path, &found) == 0 && !S_ISDIR(found.st_mode);
}

/* Say at the start, not at the first message, that there is no such program. */
static bool is_runnable(const char *program)
{
    const char *path = getenv("PATH");
    char file[4096];

    if (strchr(program, '/'))
        return is_program(program);
    for (path = path ? path : "/bin:/usr/bin"; *path;) {
        size_t len = strcspn(path, ":");

        if (snprintf(file, sizeof file, "%.*s/%s", (int)len, len ? path : ".", program) <
                (int)sizeof file &&
            is_program(file))
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

static enum warren_status read_command(struct exec *exec, const struct warren_options *options,
                                       struct warren_error *error)
{
    size_t count = 0;
    const char *const *words = warren_options_list(options, "command", &count);

    if (count == 0 || !*words[0])
        return fail(error, "command: it must name a program");
    if (!is_runnable(words[0]))
        return fail(error,
                    "command: cannot run %s: no such program, a directory, or not executable",
                    words[0]);
    exec->command = calloc(count + 1, sizeof *exec->command);
    for (size_t i = 0; exec->command && i < count; i++) {
        exec->command[i] = strdup(words[i]);
        if (!exec->command[i])
            return WARREN_ENOMEM;
    }
    return exec->command ? WARREN_OK : WARREN_ENOMEM;
}

/* One of the lists of exit statuses. */
struct status_list {
    const char *name;
    const char *fallback; /* "": empty */
    enum warren_outcome outcome;
};

static const struct status_list status_lists[] = {
    {"retry_on", RETRY_ON, WARREN_RETRY},
    {"reject_on", REJECT_ON, WARREN_REJECT},
    {"discard_on", "", WARREN_DISCARD},
    {"requeue_on", "", WARREN_REQUEUE},
};

#define STATUS_LISTS (sizeof status_lists / sizeof *status_lists)

/* @named: for each status the list that has it; NULL: none, or only a default. */
static enum warren_status read_statuses(struct exec *exec, const struct warren_options *options,
                                        const struct status_list *list,
                                        const char *named[STATUS_COUNT], struct warren_error *error)
{
    size_t count = 0;
    const char *const *words = warren_options_list(options, list->name, &count);
    bool is_default = count == 1 && strcmp(words[0], list->fallback) == 0;

    for (size_t i = 0; i < count; i++) {
        char *end;
        long number = strtol(words[i], &end, 10);

        if (words[i][0] < '0' || words[i][0] > '9' || *end || number < 1 || number >= STATUS_COUNT)
            return fail(error, "%s: \"%s\" is no exit status from 1 to 255", list->name, words[i]);
        if (is_default && named[number])
            continue;
        if (named[number] && strcmp(named[number], list->name) != 0)
            return fail(error, "exit status %ld is in both %s and %s", number, named[number],
                        list->name);
        exec->outcomes[number] = list->outcome;
        named[number] = is_default ? NULL : list->name;
    }
    return WARREN_OK;
}

/* What is given for a status goes before a default that another list has for it. */
static enum warren_status read_outcomes(struct exec *exec, const struct warren_options *options,
                                        struct warren_error *error)
{
    const char *other = warren_options_text(options, "otherwise");
    const char *named[STATUS_COUNT] = {NULL};
    enum warren_status status = WARREN_OK;

    exec->outcomes[0] = WARREN_ACK;
    for (size_t i = 1; i < STATUS_COUNT; i++)
        exec->outcomes[i] = strcmp(other, "reject") == 0 ? WARREN_REJECT : WARREN_RETRY;
    for (size_t i = 0; status == WARREN_OK && i < STATUS_LISTS; i++)
        status = read_statuses(exec, options, &status_lists[i], named, error);
    return status;
}

static enum warren_status exec_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    struct exec *exec = calloc(1, sizeof *exec);
    enum warren_status status;
    int failure = child_supported();

    if (!exec)
        return WARREN_ENOMEM;
    exec->timeout_ms = warren_options_int(info->options, "timeout");
    exec->kill_after_ms = warren_options_int(info->options, "kill_after");
    if (failure)
        status = fail(error, "pidfd_open (Linux 5.3) is not available: %s", strerror(failure));
    else
        status = read_command(exec, info->options, error);
    if (status == WARREN_OK)
        status = read_outcomes(exec, info->options, error);
    if (status != WARREN_OK) {
        exec_close(exec);
        return status;
    }
    *state = exec;
    return WARREN_OK;
}

/* What the command wrote, a log line for each of its lines. */
static void log_output(struct warren_job *job, const struct child_end *end, bool failed)
{
    enum warren_log_level level = failed ? WARREN_LOG_WARN : WARREN_LOG_INFO;
    const char *text = end->output;
    const char *stop = text + end->output_len;
    uint64_t lost;

    for (int lines = 0; text < stop && lines < OUTPUT_LINES_MAX; lines++) {
        const char *newline = memchr(text, '\n', (size_t)(stop - text));
        const char *line_end = newline ? newline : stop;

        if (line_end > text)
            warren_job_log(job, level, "command: %.*s", (int)(line_end - text), text);
        text = newline ? newline + 1 : stop;
    }
    lost = end->output_lost + (uint64_t)(stop - text);
    if (lost)
        warren_job_log(job, level, "command: %llu more bytes of output were left out",
                       (unsigned long long)lost);
}

static enum warren_outcome outcome_of(struct exec *exec, struct warren_job *job,
                                      const struct child_end *end)
{
    const char *program = exec->command[0];

    if (end->timed_out) {
        warren_job_fail(job, "%s did not end in time and was stopped", program);
        return WARREN_RETRY;
    }
    if (end->exit_status < 0) {
        warren_job_fail(job, "%s was ended by signal %d (%s)", program, end->signal,
                        strsignal(end->signal));
        return WARREN_RETRY;
    }
    if (end->exit_status != 0)
        warren_job_fail(job, "%s ended with status %d", program, end->exit_status);
    return exec->outcomes[end->exit_status];
}

static enum warren_outcome exec_run(struct warren_job *job, void *state)
{
    struct exec *exec = state;
    struct child_task task = {.command = exec->command,
                              .environment = environment_for(job),
                              .body = warren_job_body(job),
                              .timeout_ms = exec->timeout_ms,
                              .kill_after_ms = exec->kill_after_ms,
                              .job = job};
    struct child_end *end = warren_job_alloc(job, sizeof *end);
    enum warren_outcome outcome;
    int failure;

    if (!task.environment || !end) {
        warren_job_fail(job, "no memory to run %s", exec->command[0]);
        return WARREN_RETRY;
    }
    failure = child_run(&task, end);
    if (failure) {
        if (failure == ECHILD)
            warren_job_fail(job, "how %s ended was taken by something else in this process",
                            exec->command[0]);
        else
            warren_job_fail(job, "cannot run %s: %s", exec->command[0], strerror(failure));
        return WARREN_RETRY;
    }
    outcome = outcome_of(exec, job, end);
    log_output(job, end, outcome != WARREN_ACK);
    return outcome;
}

static const struct warren_option exec_options[] = {
    {.name = "command",
     .type = WARREN_OPTION_LIST,
     .help = "The program and its arguments; the program is looked up in PATH, and no shell "
             "reads the words."},
    {.name = "timeout",
     .type = WARREN_OPTION_DURATION,
     .fallback = "30s",
     .min = 0,
     .max = INT64_C(86400000),
     .help = "After this time the command and all it started get SIGTERM; 0 is no limit."},
    {.name = "kill_after",
     .type = WARREN_OPTION_DURATION,
     .fallback = "5s",
     .min = 0,
     .max = INT64_C(3600000),
     .help = "This long after SIGTERM they get SIGKILL."},
    {.name = "retry_on",
     .type = WARREN_OPTION_LIST,
     .fallback = RETRY_ON,
     .help = "Exit statuses that ask for another delivery (75 is EX_TEMPFAIL)."},
    {.name = "reject_on",
     .type = WARREN_OPTION_LIST,
     .fallback = REJECT_ON,
     .help = "Exit statuses that dead-letter the message (65 is EX_DATAERR)."},
    {.name = "discard_on",
     .type = WARREN_OPTION_LIST,
     .fallback = "",
     .help = "Exit statuses that take the message off the queue without effect."},
    {.name = "requeue_on",
     .type = WARREN_OPTION_LIST,
     .fallback = "",
     .help = "Exit statuses that hand the message back without blame."},
    {.name = "otherwise",
     .type = WARREN_OPTION_ENUM,
     .fallback = "retry",
     .choices = "retry|reject",
     .help = "What any other exit status but 0 does."},
    {0},
};

static const struct warren_handler exec_handlers[] = {
    {.name = "run",
     .help = "Run a command for each message, with the body on its standard input.",
     .options = exec_options,
     .open = exec_open,
     .handle = exec_run,
     .close = exec_close},
    {0},
};

WARREN_PLUGIN(.name = "exec", .version = WARREN_VERSION, .handlers = exec_handlers)
