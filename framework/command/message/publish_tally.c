/* publish_tally.c - see publish_tally.h. */
#include "command/message/publish_tally.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/c_locale.h"
#include "command/cli/print.h"

/* ---- receipts ---- */

/* One reason is enough: thousands may end the same way. */
static void explain(const struct warren_receipt *receipt, const char *which)
{
    const char *result = warren_result_name(receipt->result);
    char id[CLI_SAFE_ID_SIZE];

    cli_safe_id(receipt->message_id_bytes, id);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    fprintf(stderr, "warren publish: message %s%s: %s", id, which, result);
    if (receipt->reply_code) {
        fprintf(stderr, ": %u ", receipt->reply_code);
        cli_write_safe(stderr, receipt->reply_text, strlen(receipt->reply_text));
    }
    fputc('\n', stderr);
}

static bool is_fine(const struct publish_tally *tally, enum warren_result result)
{
    return result == WARREN_CONFIRMED || (result == WARREN_SPOOLED && tally->has_spool);
}

void publish_tally_receipt(const struct warren_receipt *receipt, void *user)
{
    struct publish_tally *tally = user;

    if (!is_fine(tally, receipt->result) && !atomic_exchange(&tally->explained, true))
        explain(receipt, "");
    atomic_fetch_add_explicit(&tally->results[receipt->result], 1, memory_order_relaxed);
}

/* It is removed for its age, and was told of before as returned. */
static bool was_refused(const struct warren_receipt *receipt)
{
    return receipt->result == WARREN_EXPIRED && receipt->reply_text && receipt->reply_text[0];
}

static void count_earlier(struct publish_tally *tally, const struct warren_receipt *receipt)
{
    if (receipt->result != WARREN_CONFIRMED && !atomic_exchange(&tally->earlier_explained, true))
        explain(receipt, ", in the spool from earlier");
    atomic_fetch_add_explicit(&tally->earlier_results[receipt->result], 1, memory_order_relaxed);
}

void publish_tally_end(const struct warren_receipt *receipt, void *user)
{
    struct publish_tally *tally = user;

    if (tally->earlier > 0 || was_refused(receipt)) {
        tally->earlier -= !was_refused(receipt);
        count_earlier(tally, receipt);
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

uint64_t publish_tally_earlier(const struct publish_tally *tally)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= WARREN_SPOOLED; i++)
        sum += tally->earlier_results[i];
    return sum;
}

bool publish_tally_is_clean(const struct publish_tally *tally)
{
    uint64_t fine = tally->results[WARREN_CONFIRMED];

    if (tally->has_spool)
        fine += tally->results[WARREN_SPOOLED];
    return fine == tally->published &&
           publish_tally_earlier(tally) == tally->earlier_results[WARREN_CONFIRMED];
}

void publish_tally_write(const struct publish_tally *tally, double seconds, FILE *out)
{
    fprintf(out, "published %" PRIu64, tally->published);
    for (size_t i = 0; i <= WARREN_SPOOLED; i++)
        if (tally->results[i] > 0 || i == WARREN_CONFIRMED)
            fprintf(out, ", %s %" PRIuFAST64, warren_result_name((enum warren_result)i),
                    tally->results[i]);
    c_fprintf(out, " in %.3f s (%.0f/s)\n", seconds,
              seconds > 0 ? (double)tally->published / seconds : 0);
    if (publish_tally_earlier(tally) == 0)
        return;
    fprintf(out, "in the spool from earlier: confirmed %" PRIuFAST64,
            tally->earlier_results[WARREN_CONFIRMED]);
    for (size_t i = WARREN_CONFIRMED + 1; i <= WARREN_SPOOLED; i++)
        if (tally->earlier_results[i] > 0)
            fprintf(out, ", %s %" PRIuFAST64, warren_result_name((enum warren_result)i),
                    tally->earlier_results[i]);
    fputc('\n', out);
}

static void write_earlier_json(const struct publish_tally *tally, FILE *out)
{
    const atomic_uint_fast64_t *results = tally->earlier_results;

    fprintf(out,
            ",\"earlier\":{\"%s\":%" PRIuFAST64 ",\"%s\":%" PRIuFAST64 ",\"%s\":%" PRIuFAST64 "}",
            warren_result_name(WARREN_CONFIRMED), results[WARREN_CONFIRMED],
            warren_result_name(WARREN_RETURNED), results[WARREN_RETURNED],
            warren_result_name(WARREN_TIMEOUT), results[WARREN_TIMEOUT] + results[WARREN_EXPIRED]);
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
    c_fprintf(out, ",\"%s\":%" PRIuFAST64 ",\"seconds\":%.3f", warren_result_name(WARREN_TIMEOUT),
              tally->results[WARREN_TIMEOUT] + tally->results[WARREN_EXPIRED], seconds);
    if (publish_tally_earlier(tally) > 0)
        write_earlier_json(tally, out);
    fputs("}\n", out);
}
