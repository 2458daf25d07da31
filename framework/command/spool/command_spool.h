/* command_spool.h - what the commands of `warren spool` have in common: the file, which messages,
 * how they are printed.
 * Thread: main. Elsewhere: each of them (command_spool_list.c, ...).
 */
#ifndef WARREN_COMMAND_COMMAND_SPOOL_H
#define WARREN_COMMAND_COMMAND_SPOOL_H

#include <jansson.h>

#include "command/cli/cli.h"
#include "store/spool/spool.h"

/** Bound on the messages that one command line names. */
#define SPOOL_IDS_MAX 1024

/**
 * The first argument, the file, opened; an error was printed otherwise.
 *
 * @write  to change it: what is not refused, only after spool_claim()
 */
enum cli_status spool_command_open(struct cli *cli, bool write, const char **ret_path,
                                   struct spool **ret_spool);

/** The messages that the further arguments name, by the number that `list` shows. */
struct spool_ids {
    int64_t ids[SPOOL_IDS_MAX];
    size_t count;
};

/** Read them; false: cli->status, the error was printed. */
bool spool_ids_read(struct cli *cli, struct spool_ids *ids);
bool spool_ids_have(const struct spool_ids *ids, int64_t id);

/** Messages that are to be changed: chosen by reading, and changed in short transactions, between
 * which a publisher that has the file gets its turn. All zero at first. */
struct spool_choice {
    struct spool_chosen *items;
    size_t count;
    size_t capacity;
    size_t unsent; /* of these, not refused: only the one sender of the file may change them */
};

/** Choose the messages of a kind, and if @ids are given, those alone. WARREN_OK, or as
 * spool_read(). */
enum warren_status spool_choose(struct spool_choice *choice, struct spool *spool,
                                enum spool_which which, const struct spool_ids *ids,
                                struct warren_error *error);
void spool_choice_done(struct spool_choice *choice);

/** spool_remove() or spool_unrefuse() */
typedef enum warren_status spool_change_fn(struct spool *spool, int64_t id, bool *ret_done,
                                           struct warren_error *error);

/**
 * Change each of them. What is gone by now, or sent, is passed over.
 *
 * @ret_count  how many were changed, for good, also on failure
 * @return     WARREN_OK, or as database_commit()
 */
enum warren_status spool_choice_change(const struct spool_choice *choice, struct spool *spool,
                                       spool_change_fn *change, int64_t *ret_count,
                                       struct warren_error *error);

/** What stands in a row of `list` about @message, as an object. NULL: no memory. */
json_t *spool_message_json(const struct spool_message *message);

/** "1 message", "3 messages" */
const char *spool_plural(int64_t count);

extern const struct command command_spool_list;
extern const struct command command_spool_show;
extern const struct command command_spool_flush;
extern const struct command command_spool_discard;

#endif
