/* command_profile.c - `warren profile`: where the CPU time of a running worker goes, as a picture.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "command/cli/progress.h"
#include "command/watch/command_watch.h"
#include "command/watch/flame_graph.h"
#include "command/watch/watch_client.h"

#define SECONDS_DEFAULT 10
#define SECONDS_MAX     300
#define PATIENCE_MS     30000 /* beyond the time of the profile itself */

struct profiling {
    struct watch_options watch;
    const char *out;
    uint64_t seconds;
    bool folded;
};

static const struct cli_option options[] = {
    CLI_NUMBER("seconds", 's', "How long to look (10)", "N", 1, SECONDS_MAX, struct profiling,
               seconds),
    CLI_TEXT("out", 'o', "Write to FILE; \"-\" is standard output", "FILE", struct profiling, out),
    CLI_FLAG("folded", 'f', "Write folded stacks, for other tools, and no picture",
             struct profiling, folded),
    CLI_ROWS(watch_option_rows), CLI_END};

/* In memory: a file that was there is replaced only by a whole picture. */
static enum warren_status draw(const struct profiling *p, const char *address, const char *folded,
                               size_t len, char **ret_picture, size_t *ret_len,
                               struct warren_error *error)
{
    FILE *out = open_memstream(ret_picture, ret_len);
    enum warren_status status;
    char title[400];

    if (!out)
        return error_set(error, WARREN_ENOMEM, "no memory for the picture");
    snprintf(title, sizeof title, "CPU time of warren at %.200s, %u seconds", address,
             (unsigned)p->seconds);
    status = flame_graph_write(folded, len, title, out, error);
    if (fclose(out) != 0 && status == WARREN_OK)
        status = error_set(error, WARREN_ENOMEM, "no memory for the picture");
    return status;
}

static enum cli_status write_out(struct cli *cli, const struct profiling *p, const char *text,
                                 size_t len)
{
    bool to_stdout = strcmp(p->out, "-") == 0;
    FILE *out = to_stdout ? stdout : fopen(p->out, "we");
    bool failed;

    if (!out)
        return cli_failed(cli, "cannot write %s: %s", p->out, strerror(errno));
    fwrite(text, 1, len, out);
    failed = fflush(out) != 0 || ferror(out);
    if (!to_stdout && fclose(out) != 0)
        failed = true;
    if (failed)
        return cli_failed(cli, "cannot write %s", p->out);
    if (!to_stdout)
        fprintf(stderr, "%s\n", p->out);
    return CLI_OK;
}

static enum cli_status show(struct cli *cli, const struct profiling *p, const char *address,
                            const char *folded, size_t len)
{
    struct warren_error error = {WARREN_OK, ""};
    char *picture = NULL;
    size_t picture_len = 0;
    enum cli_status status;

    if (p->folded)
        return write_out(cli, p, folded, len);
    if (draw(p, address, folded, len, &picture, &picture_len, &error) == WARREN_OK)
        status = write_out(cli, p, picture, picture_len);
    else
        status = cli_error(cli, &error);
    free(picture);
    return status;
}

static enum cli_status profile(struct cli *cli, const struct profiling *p, const char *address)
{
    struct watch_client client;
    struct warren_error error = {WARREN_OK, ""};
    enum cli_status status = CLI_OK;
    char path[64];
    char *folded = NULL;
    size_t len = 0;

    if (watch_client_init(&client, address, &p->watch, &error) != WARREN_OK)
        return error.status == WARREN_EINVAL ? cli_usage(cli, "%s", error.text)
                                             : cli_error(cli, &error);
    snprintf(path, sizeof path, "/debug/profile?seconds=%u", (unsigned)p->seconds);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "looking at %s for %u seconds\n", client.url, (unsigned)p->seconds);
    if (watch_client_get(&client, path, (uint32_t)p->seconds * 1000 + PATIENCE_MS, &folded, &len,
                         &error) != WARREN_OK)
        status = cli_error(cli, &error);
    else
        status = show(cli, p, address, folded, len);
    free(folded);
    watch_client_done(&client);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct profiling p = {.seconds = SECONDS_DEFAULT};
    const char *address;
    enum cli_status status;

    if (!cli_read(cli, &p))
        return cli->status;
    address = cli_argument(cli);
    status = cli_end(cli, "; one worker at a time");
    if (status != CLI_OK)
        return status;
    if (!p.out)
        p.out = p.folded ? "profile.folded" : "profile.svg";
    return profile(cli, &p, address ? address : WATCH_ADDRESS);
}

const struct command command_profile = {
    .name = "profile",
    .arguments = "[ADDRESS]",
    .summary = "Show where the CPU time of a running worker goes, as a flame graph",
    .options = options,
    .run = run,
    .details = "ADDRESS is HOST:PORT of the worker's admin listener (127.0.0.1:9464). The picture\n"
               "goes to profile.svg, unless --out says otherwise. Threads that sleep are not\n"
               "looked at, and cost nothing.\n",
};
