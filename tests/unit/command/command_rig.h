/* command_rig.h - run the command in this process, and look at what it printed. */
#ifndef COMMAND_RIG_H
#define COMMAND_RIG_H

#include <unistd.h>

#include "command/commands.h"
#include "support/test.h"

#define TEXT_MAX 65536

static char out[TEXT_MAX]; /* what the last command printed */
static char err[TEXT_MAX];

static inline void read_back(FILE *file, char text[TEXT_MAX])
{
    size_t len;

    rewind(file);
    len = fread(text, 1, TEXT_MAX - 1, file);
    text[len] = '\0';
    fclose(file);
}

/* Run `warren` with these words, its output caught in @out and @err. */
static inline int run(const char *const *words)
{
    const char *argv[16] = {"warren"};
    FILE *out_file = tmpfile();
    FILE *err_file = tmpfile();
    int out_fd = dup(STDOUT_FILENO);
    int err_fd = dup(STDERR_FILENO);
    int argc = 1;
    int status;

    while (words[argc - 1]) {
        argv[argc] = words[argc - 1];
        argc++;
    }
    fflush(NULL);
    dup2(fileno(out_file), STDOUT_FILENO);
    dup2(fileno(err_file), STDERR_FILENO);
    status = commands_main(argc, argv);
    fflush(NULL);
    dup2(out_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    close(out_fd);
    close(err_fd);
    read_back(out_file, out);
    read_back(err_file, err);
    return status;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

#define assert_has(text, part) assert_non_null(strstr(text, part))

#endif
