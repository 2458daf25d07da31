#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_letter.h"
#include "command/dlq_change/dlq_replay.h"

/* A file in a folder of its own, which only this user may enter. */
struct editor {
    char directory[PATH_MAX];
    char path[PATH_MAX + 128];
};

struct edit {
    struct dlq_request request; /* first */
    const char *file;           /* NULL: an editor */
    struct editor editor;
    char came_from[DLQ_NAME_SIZE]; /* as the file says before it is edited */
};

static const struct cli_option options[] = {
    CLI_TEXT("file", 'f', "What this file holds is replayed; no editor is started", "FILE",
             struct edit, file),
    DLQ_JSON("Print the summary as one JSON object"), CLI_ROWS(dlq_broker_rows), CLI_END};

/* ---- the file that is edited ---- */

/* Make the folder, under $TMPDIR or /tmp. WARREN_OK, or WARREN_EIO with @error. */
static enum warren_status editor_init(struct editor *editor, const char *file_name,
                                      struct warren_error *error)
{
    const char *base = getenv("TMPDIR");
    int len = snprintf(editor->directory, sizeof editor->directory, "%s/warren-XXXXXX",
                       base && *base ? base : "/tmp");

    if (len >= (int)sizeof editor->directory || !mkdtemp(editor->directory)) {
        editor->directory[0] = '\0';
        return error_set(error, WARREN_EIO, "cannot make a folder under %s: %s",
                         base && *base ? base : "/tmp", strerror(errno));
    }
    snprintf(editor->path, sizeof editor->path, "%s/%s", editor->directory, file_name);
    return WARREN_OK;
}

/* Remove folder and file, unless @keep. A zeroed one is fine. */
static void editor_done(struct editor *editor, bool keep)
{
    if (!*editor->directory || keep)
        return;
    unlink(editor->path);
    rmdir(editor->directory);
}

/* ---- has it changed? ---- */

/* All of a file; NULL if it cannot be read. */
static char *read_all(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    FILE *out = file ? open_memstream(&text, ret_len) : NULL;
    char piece[8192];
    size_t n;

    if (!out) {
        if (file)
            fclose(file);
        return NULL;
    }
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        fwrite(piece, 1, n, out);
    fclose(file);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- the editor ---- */

static const char *editor_command(void)
{
    const char *visual = getenv("VISUAL");
    const char *editor = getenv("EDITOR");

    if (visual && *visual)
        return visual;
    return editor && *editor ? editor : "vi";
}

/* The command may have arguments of its own, so a shell reads it; the file's name it does not. */
static void become_editor(const char *path)
{
    char line[PATH_MAX];

    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    snprintf(line, sizeof line, "%s \"$1\"", editor_command());
    execl("/bin/sh", "sh", "-c", line, "sh", path, (char *)NULL);
    _exit(127);
}

/* Keys such as ^C are for the editor alone. */
static int run_editor(const char *path)
{
    void (*on_int)(int) = signal(SIGINT, SIG_IGN);
    void (*on_quit)(int) = signal(SIGQUIT, SIG_IGN);
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        become_editor(path);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    signal(SIGINT, on_int);
    signal(SIGQUIT, on_quit);
    return status;
}

/*
 * Run $VISUAL, else $EDITOR, else vi, with the file, and wait for its end.
 *
 * @ret_changed  whether the file is another one now
 * @return       WARREN_OK; WARREN_EIO: it cannot be run, or ended with a failure, with @error
 */
static enum warren_status editor_run(const struct editor *editor, bool *ret_changed,
                                     struct warren_error *error)
{
    size_t before_len = 0, after_len = 0;
    char *before = read_all(editor->path, &before_len);
    char *after = NULL;
    enum warren_status status = WARREN_OK;
    int ended = before ? run_editor(editor->path) : -1;

    if (before && ended == 0)
        after = read_all(editor->path, &after_len);
    if (!before || (ended == 0 && !after))
        status = error_set(error, WARREN_EIO, "cannot read %s: %s", editor->path, strerror(errno));
    else if (ended != 0)
        status = error_set(error, WARREN_EIO, "the editor \"%s\" failed", editor_command());
    else
        *ret_changed = before_len != after_len || memcmp(before, after, before_len) != 0;
    free(before);
    free(after);
    return status;
}

/* ---- the message ---- */

static bool write_one(void *user, const struct dlq_letter *letter, uint64_t number)
{
    struct edit *e = user;
    struct dump_message dump = dlq_dump_of(letter, e->request.queue.name);
    struct warren_error error = {WARREN_OK, ""};
    char name[DLQ_FILE_NAME_SIZE];

    dlq_file_name(letter, number, name);
    if (editor_init(&e->editor, name, &error) != WARREN_OK ||
        dump_write(e->editor.path, &dump, &error) != WARREN_OK) {
        cli_failed(e->request.cli, "%s", error.text);
        return false;
    }
    snprintf(e->came_from, sizeof e->came_from, "%s", dump.queue);
    return true;
}

/* @return CLI_OK: there is an edited file */
static enum cli_status edit_file(struct edit *e)
{
    const struct dlq_request *r = &e->request;
    struct warren_error error = {WARREN_OK, ""};
    bool changed = false;
    uint64_t found;
    enum cli_status status = dlq_look(r, write_one, e, &found);

    if (status != CLI_OK)
        return status;
    if (editor_run(&e->editor, &changed, &error) != WARREN_OK)
        return cli_failed(r->cli, "%s; the message stays in '%s'", error.text,
                          e->request.queue.name);
    if (!changed)
        return cli_failed(r->cli, "nothing was changed; the message stays in '%s'",
                          e->request.queue.name);
    return CLI_OK;
}

/* Only a queue that the user changed is another target than that of the message. */
static enum cli_status replay(struct edit *e, const struct dump_message *dump)
{
    struct dlq_replay_job job = {.request = &e->request, .window = 1, .replacement = dump};

    if (strcmp(dump->queue, e->came_from) != 0 && strcmp(dump->queue, e->request.queue.name) != 0)
        job.to = dump->queue;
    return dlq_replay_run(&job);
}

static enum cli_status read_and_replay(struct edit *e)
{
    const struct cli *cli = e->request.cli;
    const char *path = e->file ? e->file : e->editor.path;
    struct warren_error error = {WARREN_OK, ""};
    struct dump_message *dump = NULL;
    enum cli_status status;

    if (dump_read(path, &dump, &error) == WARREN_OK)
        status = replay(e, dump);
    else
        status =
            cli_failed(cli, "%s; the message stays in '%s'", error.text, e->request.queue.name);
    dump_free(dump);
    if (status != CLI_OK && !e->file)
        cli_warn(cli, "what you wrote is in %s; --file %s tries it again", path, path);
    editor_done(&e->editor, status != CLI_OK);
    return status;
}

static enum cli_status edit_and_replay(struct dlq_request *request)
{
    struct edit *e = (struct edit *)request;
    enum cli_status status = dlq_request_words(
        request, "which message? Give its id, as dlq show prints it", &request->filter.id);

    if (status == CLI_OK && !*request->filter.id)
        status = cli_usage(request->cli,
                           "the id is empty; a message without an id cannot be edited, for "
                           "nothing tells it from others");
    request->max = 1;
    if (status == CLI_OK && !e->file)
        status = edit_file(e);
    if (status == CLI_OK)
        return read_and_replay(e);
    editor_done(&e->editor, false);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct edit e = {.file = NULL};

    return dlq_request_run(&e.request, cli, "publisher.timeout=30s", edit_and_replay);
}

const struct command command_dlq_edit_and_replay = {
    .name = "dlq edit-and-replay",
    .arguments = "[OPTION...] QUEUE ID",
    .summary = "Edit one dead letter, and replay it in its new form",
    .options = options,
    .run = run,
    .details = DLQ_HELP
    "\n"
    "$VISUAL, else $EDITOR, else vi, gets the message as a dump file. What is saved is replayed "
    "in\n"
    "its place; a file that is damaged, or not changed, is not, and the message stays.\n\n"
    "Examples:\n"
    "  EDITOR=nano warren dlq edit-and-replay payments 018f4c1e-7d2a-7c11-9f00-aabbccddeeff\n"
    "  warren dlq edit-and-replay payments pay-17 --file fixed.json\n",
};
