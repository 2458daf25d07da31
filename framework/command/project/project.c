#include "command/project/project.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <warren/version.h>

#include "base/ascii.h"
#include "base/error.h"
#include "command/project/template.h"

#define SUFFIX     ".in" /* of each template */
#define UNFINISHED ".XXXXXX"

const struct project_language project_languages[] = {
    {.word = "c", .title = "C", .cmake = "C", .standard = "11", .suffix = "c"},
    {.word = "c++", .title = "C++", .cmake = "CXX", .standard = "17", .suffix = "cpp"},
};
const size_t project_language_count = sizeof project_languages / sizeof project_languages[0];

/* ---- texts ---- */

/* What stands in place of the word of @len bytes between two @; NULL: it is no such word. */
static const char *value_of(const struct project *project, const char *word, size_t len)
{
    const struct {
        const char *word;
        const char *value;
    } table[] = {
        {"NAME", project->name},
        {"LANGUAGE", project->language->cmake},
        {"STANDARD", project->language->standard},
        {"SUFFIX", project->language->suffix},
        {"VERSION", WARREN_VERSION},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strlen(table[i].word) == len && strncmp(table[i].word, word, len) == 0)
            return table[i].value;
    return NULL;
}

static void write_text(const struct project *project, const char *text, FILE *file)
{
    while (*text) {
        size_t len = strcspn(text, "@");
        size_t word = text[len] ? strcspn(text + len + 1, "@") : 0;
        const char *value = NULL;

        if (text[len] && text[len + 1 + word])
            value = value_of(project, text + len + 1, word);
        fwrite(text, 1, len, file);
        if (value)
            fputs(value, file);
        else if (text[len])
            fputc('@', file);
        text += value ? len + word + 2 : len + (text[len] != '\0');
    }
}

/* "c/test_NAME.c.in" is test_mails.c in the project; false: it is another language's. */
static bool file_name(const struct project *project, const char *path, char name[NAME_MAX + 1])
{
    const char *file = strchr(path, '/') + 1;
    size_t folder = (size_t)(file - path) - 1;
    int len = (int)(strlen(file) - strlen(SUFFIX));
    const char *at = strstr(file, "NAME");
    int before = at ? (int)(at - file) : len;

    if (strncmp(path, "all/", 4) != 0 && (strlen(project->language->word) != folder ||
                                          strncmp(path, project->language->word, folder) != 0))
        return false;
    snprintf(name, NAME_MAX + 1, "%.*s%s%.*s", before, file, at ? project->name : "",
             at ? len - before - 4 : 0, at ? at + 4 : "");
    return true;
}

/* ---- files ---- */

static bool write_file(const struct project *project, int folder, const char *name,
                       const char *text)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool written;

    if (!file) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    write_text(project, text, file);
    written = !ferror(file);
    return fclose(file) == 0 && written;
}

static enum warren_status fill(const struct project *project, int folder,
                               struct warren_error *error)
{
    char name[NAME_MAX + 1];

    for (const struct template_file *t = template_files; t->path; t++)
        if (file_name(project, t->path, name) && !write_file(project, folder, name, t->text))
            return error_set(error, WARREN_EIO, "cannot write %s/%s: %s", project->dir, name,
                             strerror(errno));
    return WARREN_OK;
}

static void clear(const struct project *project, int folder, const char *path)
{
    char name[NAME_MAX + 1];

    for (const struct template_file *t = template_files; t->path; t++)
        if (file_name(project, t->path, name))
            unlinkat(folder, name, 0);
    rmdir(path);
}

/* ---- the folder ---- */

static enum warren_status refuse(const struct project *project, int number,
                                 struct warren_error *error)
{
    if (number == EEXIST || number == ENOTEMPTY)
        return error_set(error, WARREN_ECONFIG,
                         "%s exists, and is left as it is: remove it, or name another folder with "
                         "--dir",
                         project->dir);
    return error_set(error, WARREN_ECONFIG, "cannot make the folder %s: %s", project->dir,
                     strerror(number));
}

/* What CMake, make or their shell take for something of theirs, wherever in the path it is. Tried
 * with CMake 3.25 and GNU make 4.3; blanks and ' are well. */
static const char not_built[] = "\"#$%*:;?[\\]`|";

static enum warren_status refuse_character(const char *path, struct warren_error *error)
{
    size_t len = strcspn(path, not_built);

    for (const char *c = path; *c; c++)
        if (ascii_is_cntrl(*c))
            return error_set(error, WARREN_ECONFIG,
                             "the folder, or one above it, has a control character in its name, "
                             "and nothing could be built in it: name another one with --dir");
    if (!path[len])
        return WARREN_OK;
    return error_set(error, WARREN_ECONFIG,
                     "%s: with %c in its name nothing could be built in it: name another folder "
                     "with --dir",
                     path, path[len]);
}

/* The folder, and all above it. */
static enum warren_status check_path(const char *dir, struct warren_error *error)
{
    char here[PATH_MAX] = "";
    enum warren_status status = refuse_character(dir, error);

    if (status == WARREN_OK && *dir != '/' && getcwd(here, sizeof here))
        status = refuse_character(here, error);
    return status;
}

/* For whom a new folder is: mkdtemp(3) makes it for its owner alone. */
static bool open_to_others(int folder)
{
    mode_t mask = umask(0);

    umask(mask);
    return fchmod(folder, 0777 & ~mask) == 0;
}

/* Where the file system knows no such rename, an empty folder that came meanwhile is replaced. */
static bool rename_without_replacing(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    return (errno == EINVAL || errno == ENOSYS) && rename(from, to) == 0;
}

/* "mails" and "../mails" make ".mails.XXXXXX" and "../.mails.XXXXXX". */
static bool name_unfinished(const char *dir, char path[PATH_MAX])
{
    const char *slash = strrchr(dir, '/');
    int parent = slash ? (int)(slash - dir) + 1 : 0;

    return snprintf(path, PATH_MAX, "%.*s.%s" UNFINISHED, parent, dir, dir + parent) < PATH_MAX;
}

static enum warren_status make(const struct project *project, char *unfinished,
                               struct warren_error *error)
{
    enum warren_status status;
    int folder;

    if (!mkdtemp(unfinished))
        return refuse(project, errno, error);
    folder = open(unfinished, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || !open_to_others(folder))
        status = refuse(project, errno, error);
    else
        status = fill(project, folder, error);
    if (status == WARREN_OK && !rename_without_replacing(unfinished, project->dir))
        status = refuse(project, errno, error);
    if (status != WARREN_OK)
        clear(project, folder, unfinished);
    if (folder >= 0)
        close(folder);
    return status;
}

void project_remove(const struct project *project)
{
    int folder = open(project->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (folder < 0)
        return;
    clear(project, folder, project->dir);
    close(folder);
}

enum warren_status project_make(const struct project *project, struct warren_error *error)
{
    char unfinished[PATH_MAX];
    enum warren_status status;
    struct stat there;
    sigset_t all;
    sigset_t before;

    status = check_path(project->dir, error);
    if (status != WARREN_OK)
        return status;
    if (lstat(project->dir, &there) == 0)
        return refuse(project, EEXIST, error);
    if (!name_unfinished(project->dir, unfinished))
        return refuse(project, ENAMETOOLONG, error);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    status = make(project, unfinished, error);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}
