/* plugin_trial.c - see plugin_trial.h. */
#include "app/plugin_trial.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "consume/crash/exit_watch.h"
#include "observe/child.h"
#include "plugin/loader.h"

/* What the child says begins with one of these: a hash in hexadecimal digits, or why not. */
#define LOADED  "loaded "
#define REFUSED "refused "

#define SAID_MAX ((size_t)16 * 1024)
#define LOOK_MS  20

/* ---- in the child ---- */

static void say(int fd, const char *word, const char *text)
{
    dprintf(fd, "%s%s", word, text);
}

static void say_content(int fd, const uint8_t content[SIPHASH_SIZE])
{
    char text[2 * SIPHASH_SIZE + 1];

    for (size_t i = 0; i < SIPHASH_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", content[i]);
    say(fd, LOADED, text);
}

/* What the plugin prints is not to stand where the answer does. Its destructors are not run: the
 * worker does not unload it either. */
void plugin_trial_child(const char *path)
{
    int answer = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    struct warren_error error = {WARREN_OK, ""};
    struct plugin *plugin = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exit_watch_end(); /* whoever asks sees the status */
    dup2(STDERR_FILENO, STDOUT_FILENO);
    if (plugin_load(path, &plugin, &error) == WARREN_OK)
        say_content(answer, plugin->file.content);
    else
        say(answer, REFUSED, error.text);
    _exit(0);
}

/* ---- in the worker ---- */

struct run {
    const struct plugin_trial *trial;
    const char *path;
    struct loop *loop;
    struct loop_timer timer;
    struct child child;
    int exit_status;
    bool called_off;
};

static void on_ended(void *user, struct child *child, int status)
{
    struct run *run = user;

    (void)child;
    run->exit_status = status;
    loop_stop(run->loop);
}

static void look(void *arg)
{
    struct run *run = arg;

    run->called_off = !run->trial->goes_on(run->trial->user);
    if (run->called_off)
        loop_stop(run->loop);
    else
        loop_timer_arm_ms(&run->timer, LOOK_MS);
}

/* @return what stands behind @word, if the child's answer begins so; it lives as long as the child
 * does. NULL: it does not */
static const char *answer_behind(struct child *child, const char *word)
{
    struct buffer *said = &child->texts[0];
    size_t len = strlen(word);

    if (buffer_len(said) <= len || memcmp(buffer_front(said), word, len) != 0 ||
        buffer_append(said, "", 1) != WARREN_OK)
        return NULL;
    return (const char *)buffer_front(said) + len;
}

static bool read_content(const char *text, uint8_t content[SIPHASH_SIZE])
{
    if (strlen(text) != (size_t)2 * SIPHASH_SIZE)
        return false;
    for (size_t i = 0; i < SIPHASH_SIZE; i++) {
        unsigned byte;

        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        content[i] = (uint8_t)byte;
    }
    return true;
}

/* The last line with anything in it that the plugin wrote. "" if there is none. */
static void last_words(const struct child *child, char words[PLUGIN_TRIAL_WORDS_MAX + 1])
{
    const char *text = (const char *)buffer_front(&child->texts[1]);
    size_t end = buffer_len(&child->texts[1]);
    size_t begin;

    *words = '\0';
    while (end > 0 && strchr(" \t\r\n", text[end - 1]))
        end--;
    begin = end;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    while (begin < end && strchr(" \t", text[begin]))
        begin++;
    if (begin < end)
        snprintf(words, PLUGIN_TRIAL_WORDS_MAX + 1, "%.*s", (int)(end - begin), text + begin);
}

/* It has not said that it is loaded. */
static enum warren_status blame(const struct run *run, int64_t limit_ms, struct warren_error *error)
{
    const struct child *child = &run->child;
    char words[PLUGIN_TRIAL_WORDS_MAX + 1];
    char how[128];

    last_words(child, words);
    if (child->late)
        snprintf(how, sizeof how, "took longer than %d s", (int)((limit_ms + 999) / 1000));
    else if (child->signal)
        snprintf(how, sizeof how, "ended the process by signal %d (%s)", child->signal,
                 sigdescr_np(child->signal) ? sigdescr_np(child->signal) : "?");
    else
        snprintf(how, sizeof how, "ended the process with status %d", run->exit_status);
    return error_set(error, WARREN_EPLUGIN,
                     "%s: loading it %s (in a process of its own, to find that out): constructors "
                     "and %s() are to return%s%s%s",
                     run->path, how, WARREN_PLUGIN_ENTRY, *words ? "; it wrote \"" : "", words,
                     *words ? "\"" : "");
}

static enum warren_status judge(struct run *run, int64_t limit_ms, uint8_t content[SIPHASH_SIZE],
                                struct warren_error *error)
{
    const char *text;

    if (run->called_off)
        return error_set(error, WARREN_ECLOSED, "the worker ends, and %s was not loaded any more",
                         run->path);
    text = answer_behind(&run->child, LOADED);
    if (text && read_content(text, content))
        return WARREN_OK;
    text = answer_behind(&run->child, REFUSED);
    if (text)
        return error_set(error, WARREN_EPLUGIN, "%s", text);
    return blame(run, limit_ms, error);
}

static enum warren_status run_child(struct run *run, int64_t limit_ms, struct warren_error *error)
{
    const char *const arguments[] = {"warren", PLUGIN_TRIAL_COMMAND, "--", run->path, NULL};
    const struct child_options options = {.arguments = arguments,
                                          .start = run->trial->begun,
                                          .output_max = SAID_MAX,
                                          .timeout_ms = (uint32_t)limit_ms};
    enum warren_status status = loop_timer_init(&run->timer, run->loop, look, run);

    if (status == WARREN_OK)
        status = child_start(&run->child, run->loop, &options, on_ended, run, error);
    else
        error_set(error, status, "no memory for a child");
    if (status != WARREN_OK)
        return status;
    loop_timer_arm_ms(&run->timer, LOOK_MS);
    loop_run(run->loop);
    return WARREN_OK;
}

static enum warren_status try_it(struct run *run, int64_t limit_ms, uint8_t content[SIPHASH_SIZE],
                                 struct warren_error *error)
{
    const struct plugin_trial *trial = run->trial;
    enum warren_status status;

    trial->around(trial->user, true);
    status = run_child(run, limit_ms, error);
    if (status == WARREN_OK)
        status = judge(run, limit_ms, content, error);
    child_done(&run->child);
    loop_timer_done(&run->timer);
    trial->around(trial->user, false);
    return status;
}

enum warren_status plugin_try(const struct plugin_trial *trial, const char *path,
                              uint8_t content[SIPHASH_SIZE], struct warren_error *error)
{
    struct run run = {.trial = trial, .path = path};
    int64_t limit_ms = trial->until_ms - clock_now_ms(clock_monotonic());
    enum warren_status status;

    if (limit_ms <= 0)
        return error_set(error, WARREN_EPLUGIN,
                         "%s: loading the plugins before it took longer than %d s: change fewer of "
                         "them at once",
                         path, PLUGIN_TRIALS_MS / 1000);
    limit_ms = limit_ms < PLUGIN_TRIAL_MS ? limit_ms : PLUGIN_TRIAL_MS;
    if (loop_new(clock_monotonic(), &run.loop) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory for a child");
    status = try_it(&run, limit_ms, content, error);
    loop_free(run.loop);
    return status;
}
