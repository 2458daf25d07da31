/* bank.c - a transactional handler for tests.
 *
 *   bank.pay  inserts the message id into the table `payment`, publishes a receipt of it to the
 *             queue `to`, replies if it is asked to, and answers `outcome`. With body
 *             "early"     it publishes before it asks for its transaction
 *             "crash"     it crashes in it
 *             "hang"      it never returns from it
 *             "rollback"  it has SQLite roll everything back, goes on, and answers ACK
 *             "orphan"    it leaves a row that refers to none
 *             "numbers"   it meets a table that takes no more rows
 *
 * The receipt's id is "receipt-" and that of the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include <warren/sqlite.h>

struct bank {
    sqlite3_stmt *insert;
    const char *to;
    enum warren_outcome outcome;
};

static const struct warren_option pay_options[] = {
    {"to", WARREN_OPTION_STRING, NULL, 0, 0, NULL, "The queue of the receipts."},
    {"outcome", WARREN_OPTION_ENUM, "ack", 0, 0, "ack|retry|reject|discard", "What is answered."},
    {0}};

static enum warren_status pay_open(const struct warren_subscription_info *info, void **state,
                                   struct warren_error *error)
{
    struct sqlite3 *database = warren_subscription_sqlite(info);
    struct bank *bank = calloc(1, sizeof *bank);
    const char *outcome = warren_options_text(info->options, "outcome");

    if (!bank)
        return WARREN_ENOMEM;
    bank->to = warren_options_text(info->options, "to");
    for (int i = WARREN_ACK; i <= WARREN_DISCARD; i++)
        if (strcmp(warren_outcome_name((enum warren_outcome)i), outcome) == 0)
            bank->outcome = (enum warren_outcome)i;
    if (sqlite3_exec(database,
                     "CREATE TABLE IF NOT EXISTS payment (id TEXT);"
                     "CREATE TABLE IF NOT EXISTS rule (id INTEGER PRIMARY KEY);"
                     "INSERT OR IGNORE INTO rule VALUES (1);"
                     "CREATE TABLE IF NOT EXISTS account (rule REFERENCES rule"
                     " DEFERRABLE INITIALLY DEFERRED);"
                     "CREATE TABLE IF NOT EXISTS number (id INTEGER PRIMARY KEY AUTOINCREMENT);"
                     "INSERT OR IGNORE INTO number VALUES (9223372036854775807);"
                     "PRAGMA foreign_keys = ON",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(database, "INSERT INTO payment VALUES (?)", -1, &bank->insert, NULL) !=
            SQLITE_OK) {
        snprintf(error->text, sizeof error->text, "%s", sqlite3_errmsg(database));
        free(bank);
        return WARREN_EIO;
    }
    *state = bank;
    return WARREN_OK;
}

static enum warren_outcome publish(struct warren_job *job, const struct bank *bank, const char *id)
{
    char receipt[300];
    struct warren_message message = {.properties.message_id = receipt};

    snprintf(receipt, sizeof receipt, "receipt-%s", id);
    message.body = warren_text(receipt);
    if (warren_job_publish(job, "", bank->to, &message) != WARREN_OK)
        return WARREN_REJECT;
    if (warren_job_properties(job)->reply_to && warren_job_reply(job, &message) != WARREN_OK)
        return WARREN_REJECT;
    return WARREN_ACK;
}

static bool says(struct warren_job *job, const char *word)
{
    struct warren_bytes body = warren_job_body(job);

    return body.len == strlen(word) && memcmp(body.data, word, body.len) == 0;
}

static enum warren_outcome roll_back(struct sqlite3 *database)
{
    sqlite3_exec(database, "INSERT OR ROLLBACK INTO rule VALUES (1)", NULL, NULL, NULL);
    sqlite3_exec(database, "INSERT INTO payment VALUES ('after the rollback')", NULL, NULL, NULL);
    return WARREN_ACK;
}

static enum warren_outcome pay(struct warren_job *job, void *state)
{
    struct bank *bank = state;
    const char *id = warren_job_properties(job)->message_id;
    bool early = says(job, "early");
    enum warren_outcome outcome = WARREN_ACK;
    int code;

    warren_job_log(job, WARREN_LOG_INFO, "paying");
    if (early)
        publish(job, bank, id);
    if (!warren_job_sqlite(job))
        return early ? WARREN_REJECT : WARREN_RETRY;
    sqlite3_bind_text(bank->insert, 1, id, -1, SQLITE_STATIC);
    code = sqlite3_step(bank->insert);
    if (says(job, "crash"))
        abort();
    while (says(job, "hang"))
        pause();
    sqlite3_reset(bank->insert);
    if (code != SQLITE_DONE)
        return WARREN_RETRY;
    if (says(job, "rollback"))
        return roll_back(warren_job_sqlite(job));
    if (says(job, "orphan"))
        sqlite3_exec(warren_job_sqlite(job), "INSERT INTO account VALUES (2)", NULL, NULL, NULL);
    if (says(job, "numbers") &&
        sqlite3_exec(warren_job_sqlite(job), "INSERT INTO number DEFAULT VALUES", NULL, NULL,
                     NULL) != SQLITE_OK)
        return WARREN_RETRY;
    outcome = publish(job, bank, id);
    return outcome == WARREN_ACK ? bank->outcome : outcome;
}

static void pay_close(void *state)
{
    struct bank *bank = state;

    sqlite3_finalize(bank->insert);
    free(bank);
}

static const struct warren_handler handlers[] = {{.name = "pay",
                                                  .options = pay_options,
                                                  .open = pay_open,
                                                  .handle = pay,
                                                  .close = pay_close,
                                                  .transactional = true},
                                                 {0}};

WARREN_PLUGIN(.name = "bank", .version = "1.0.0", .handlers = handlers)
