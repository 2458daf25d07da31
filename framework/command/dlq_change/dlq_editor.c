#include "command/dlq_change/dlq_editor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

enum warren_status dlq_editor_init(struct dlq_editor *editor, const char *file_name,
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

void dlq_editor_done(struct dlq_editor *editor, bool keep)
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

static const char *command(void)
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
    snprintf(line, sizeof line, "%s \"$1\"", command());
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

enum warren_status dlq_editor_run(const struct dlq_editor *editor, bool *ret_changed,
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
        status = error_set(error, WARREN_EIO, "the editor \"%s\" failed", command());
    else
        *ret_changed = before_len != after_len || memcmp(before, after, before_len) != 0;
    free(before);
    free(after);
    return status;
}
