/* publish_tally.c - see publish_tally.h. */
#include "command/publish_tally.h"

#include <inttypes.h>
#include <unistd.h>

#include "command/dlq_print.h"

/* ---- receipts ---- */

/* One reason is enough: thousands may end the same way. */
static void explain(const struct warren_receipt *receipt)
{
    const char *result = warren_result_name(receipt->result);
    char id[DLQ_SAFE_ID_SIZE];

    dlq_safe_id(receipt->message_id_bytes, id);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    if (receipt->reply_code)
        fprintf(stderr, "warren publish: message %s: %s: %u %s\n", id, result, receipt->reply_code,
                receipt->reply_text);
    else
        fprintf(stderr, "warren publish: message %s: %s\n", id, result);
}

static bool is_fine(const struct publish_tally *tally, enum warren_result result)
{
    return result == WARREN_CONFIRMED || (result == WARREN_SPOOLED && tally->has_spool);
}

void publish_tally_receipt(const struct warren_receipt *receipt, void *user)
{
    struct publish_tally *tally = user;

    if (!is_fine(tally, receipt->result) && !atomic_exchange(&tally->explained, true))
        explain(receipt);
    atomic_fetch_add_explicit(&tally->results[receipt->result], 1, memory_order_relaxed);
}

void publish_tally_end(const struct warren_receipt *receipt, void *user)
{
    struct publish_tally *tally = user;

    if (tally->earlier > 0) {
        tally->earlier--;
        return;
    }
    publish_tally_receipt(receipt, user);
    atomic_fetch_sub_explicit(&tally->results[WARREN_SPOOLED], 1, memory_order_relaxed);
}

/* ---- sums ---- */

uint64_t publish_tally_ended(const struct publish_tally *tally)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= WARREN_SPOOLED; i++)
        sum += tally->results[i];
    return sum;
}

uint64_t publish_tally_settled(const struct publish_tally *tally)
{
    return publish_tally_ended(tally) - tally->results[WARREN_SPOOLED];
}

bool publish_tally_is_clean(const struct publish_tally *tally)
{
    uint64_t fine = tally->results[WARREN_CONFIRMED];

    if (tally->has_spool)
        fine += tally->results[WARREN_SPOOLED];
    return fine == tally->published;
}

void publish_tally_write(const struct publish_tally *tally, double seconds, FILE *out)
{
    fprintf(out, "published %" PRIu64, tally->published);
    for (size_t i = 0; i <= WARREN_SPOOLED; i++)
        if (tally->results[i] > 0 || i == WARREN_CONFIRMED)
            fprintf(out, ", %s %" PRIuFAST64, warren_result_name((enum warren_result)i),
                    tally->results[i]);
    fprintf(out, " in %.3f s (%.0f/s)\n", seconds,
            seconds > 0 ? (double)tally->published / seconds : 0);
}

void publish_tally_write_json(const struct publish_tally *tally, double seconds, FILE *out)
{
    static const enum warren_result order[] = {WARREN_CONFIRMED, WARREN_RETURNED, WARREN_NACKED};

    fprintf(out, "{\"published\":%" PRIu64, tally->published);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        fprintf(out, ",\"%s\":%" PRIuFAST64, warren_result_name(order[i]),
                tally->results[order[i]]);
    if (tally->has_spool)
        fprintf(out, ",\"%s\":%" PRIuFAST64, warren_result_name(WARREN_SPOOLED),
                tally->results[WARREN_SPOOLED]);
    fprintf(out, ",\"%s\":%" PRIuFAST64 ",\"seconds\":%.3f}\n", warren_result_name(WARREN_TIMEOUT),
            tally->results[WARREN_TIMEOUT] + tally->results[WARREN_EXPIRED], seconds);
}
