/* main.c - the program that makes the manual and the completions while warren is built; it is not
 * installed.
 *
 * usage: warren_manual DATE FOLDER FILE...
 *
 * FOLDER gets man1/, man5/, bash/ and zsh/. Each FILE is a text of a page (pieces.h), or a template
 * of a completion (completion.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "manual/completion.h"
#include "manual/page.h"

static bool make_folders(const char *folder)
{
    static const char *const names[] = {"", "/man1", "/man5", "/bash", "/zsh"};
    char path[4096];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            perror(path);
            return false;
        }
    }
    return true;
}

static bool ends(const char *path, const char *with)
{
    size_t len = strlen(path);

    return len >= strlen(with) && strcmp(path + len - strlen(with), with) == 0;
}

static bool write_completion(const char *folder, const char *template_path,
                             void (*write)(FILE *out, const char *template), const char *name)
{
    FILE *file = fopen(template_path, "re");
    char *template = NULL;
    size_t size = 0;
    char path[4096];
    FILE *out;
    bool done;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    out = fopen(path, "we");
    done = file && out && getdelim(&template, &size, '\0', file) > 0;
    if (done)
        write(out, template);
    else
        perror(file ? path : template_path);
    if (file)
        fclose(file);
    if (out && fclose(out) != 0)
        done = false;
    free(template);
    return done;
}

static bool take_file(struct manual *manual, const char *folder, const char *path)
{
    const char *why;

    if (ends(path, ".bash"))
        return write_completion(folder, path, completion_bash, "bash/warren");
    if (ends(path, ".zsh"))
        return write_completion(folder, path, completion_zsh, "zsh/_warren");
    if (pieces_read(&manual->pieces, path, &why))
        return true;
    fprintf(stderr, "%s: %s\n", path, why);
    return false;
}

int main(int argc, char **argv)
{
    struct manual manual = {.date = argc > 1 ? argv[1] : ""};
    bool done = argc > 3;

    if (!done)
        fputs("usage: warren_manual DATE FOLDER FILE...\n", stderr);
    done = done && make_folders(argv[2]);
    for (int i = 3; done && i < argc; i++)
        done = take_file(&manual, argv[2], argv[i]);
    done = done && pages_write(&manual, argv[2]) && !pieces_are_unused(&manual.pieces);
    pieces_done(&manual.pieces);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
