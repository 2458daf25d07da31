/* payments.c - a handler that books payments: one line in a ledger for each.
 *
 * The body is JSON, such as {"id":"pay-000042","amount_cents":1999,"currency":"EUR"}. A message
 * that is no payment will never be one: it is rejected. A ledger that cannot be written to is the
 * ledger's fault, not the message's: it is tried again.
 *
 * The ledger gets each line by one write() to a file opened with O_APPEND: lines of several
 * threads do not mix, and what was acked survives the crash of this process. It is not synced to
 * disk each time, so a crash of the machine may take the last lines with it.
 *
 * warren delivers at least once: after a lost connection a payment can come again, and then has
 * two lines with the same id. Who reads the ledger goes by the id.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/handler.h>

#define ID_MAX 64

struct payment {
    char id[ID_MAX + 1];
    long long amount_cents;
};

struct ledger {
    int fd;
};

static const struct warren_option options[] = {
    {"ledger", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "The file that each payment is added to."},
    {0}};

static enum warren_status ledger_open(const struct warren_subscription_info *info, void **state,
                                      struct warren_error *error)
{
    const char *path = warren_options_text(info->options, "ledger");
    struct ledger *ledger = calloc(1, sizeof *ledger);

    if (!ledger)
        return WARREN_ENOMEM;
    ledger->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (ledger->fd < 0) {
        error->status = WARREN_EIO;
        snprintf(error->text, sizeof error->text, "cannot open %s: %s", path, strerror(errno));
        free(ledger);
        return WARREN_EIO;
    }
    *state = ledger;
    return WARREN_OK;
}

/* The text behind "NAME": in a flat JSON object; NULL if it has no such member. */
static const char *member(const char *json, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = strchr(json, '"'); at; at = strchr(at + 1, '"')) {
        const char *value = at + 1 + length;

        if (strncmp(at + 1, name, length) != 0 || *value++ != '"')
            continue;
        value += strspn(value, " \t");
        if (*value++ == ':')
            return value + strspn(value, " \t");
    }
    return NULL;
}

static bool parse_payment(const char *json, struct payment *payment)
{
    const char *id = member(json, "id");
    const char *amount = member(json, "amount_cents");
    char *end;
    size_t length;

    if (!id || *id++ != '"' || !amount)
        return false;
    length = strcspn(id, "\"");
    if (length == 0 || length > ID_MAX || id[length] != '"')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)id[i]) && id[i] != '-')
            return false;
    }
    memcpy(payment->id, id, length);
    payment->id[length] = '\0';
    errno = 0;
    payment->amount_cents = strtoll(amount, &end, 10);
    return end != amount && errno == 0 && payment->amount_cents > 0;
}

static enum warren_outcome book(struct warren_job *job, void *state)
{
    const struct ledger *ledger = state;
    struct warren_bytes body = warren_job_body(job);
    char *json = warren_job_alloc(job, body.len + 1);
    struct payment payment;
    char line[ID_MAX + 64];
    int length;

    if (!json)
        return WARREN_RETRY;
    if (body.len)
        memcpy(json, body.data, body.len);
    json[body.len] = '\0';
    if (!parse_payment(json, &payment)) {
        warren_job_fail(job, "not a payment: no good \"id\" or \"amount_cents\"");
        return WARREN_REJECT;
    }
    length = snprintf(line, sizeof line, "%s\t%lld\t%d\n", payment.id, payment.amount_cents,
                      warren_job_redelivered(job));
    if (write(ledger->fd, line, (size_t)length) != length) {
        warren_job_fail(job, "cannot write to the ledger: %s", strerror(errno));
        return WARREN_RETRY;
    }
    return WARREN_ACK;
}

static void ledger_close(void *state)
{
    struct ledger *ledger = state;

    close(ledger->fd);
    free(ledger);
}

static const struct warren_handler handlers[] = {{.name = "book",
                                                  .help = "Adds each payment to a ledger.",
                                                  .options = options,
                                                  .open = ledger_open,
                                                  .handle = book,
                                                  .close = ledger_close},
                                                 {0}};

WARREN_PLUGIN(.name = "payments", .version = "1.0.0", .handlers = handlers)
