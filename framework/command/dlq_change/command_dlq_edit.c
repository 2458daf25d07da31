#include <string.h>

#include "base/error.h"
#include "command/dlq/dlq_files.h"
#include "command/dlq/dlq_look.h"
#include "command/dlq_change/dlq_editor.h"
#include "command/dlq_change/dlq_replay.h"

struct edit {
    struct dlq_request request; /* first */
    const char *id;
    const char *file; /* NULL: an editor */
    struct dlq_editor editor;
    char came_from[DLQ_NAME_SIZE]; /* as the file says before it is edited */
};

static const struct cli_option options[] = {
    CLI_TEXT("file", 'f', "What this file holds is replayed; no editor is started", "FILE",
             struct edit, file),
    DLQ_JSON("Print the summary as one JSON object"), CLI_ROWS(dlq_broker_rows), CLI_END};

static bool write_one(void *user, const struct dlq_letter *letter, uint64_t number)
{
    struct edit *e = user;
    struct dump_message dump = dlq_dump_of(letter, e->request.queue.name);
    struct warren_error error = {WARREN_OK, ""};
    char name[DLQ_FILE_NAME_SIZE];

    dlq_file_name(letter, number, name);
    if (dlq_editor_init(&e->editor, name, &error) != WARREN_OK ||
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
    if (dlq_editor_run(&e->editor, &changed, &error) != WARREN_OK)
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
    dlq_editor_done(&e->editor, status != CLI_OK);
    return status;
}

static enum cli_status edit_and_replay(struct edit *e)
{
    enum cli_status status = CLI_OK;

    e->request.filter.id = e->id;
    e->request.max = 1;
    if (!e->file)
        status = edit_file(e);
    if (status == CLI_OK)
        return read_and_replay(e);
    dlq_editor_done(&e->editor, false);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct edit e = {.id = NULL};
    enum cli_status status;

    if (!dlq_request_begin(&e.request, cli, "publisher.timeout=30s"))
        return cli->status;
    status =
        dlq_request_words(&e.request, "which message? Give its id, as dlq show prints it", &e.id);
    if (status == CLI_OK && !*e.id)
        status = cli_usage(cli, "the id is empty; a message without an id cannot be edited, for "
                                "nothing tells it from others");
    if (status == CLI_OK)
        status = edit_and_replay(&e);
    dlq_request_done(&e.request);
    return status;
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
