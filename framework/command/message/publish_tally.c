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

static void count(atomic_uint_fast64_t *results, atomic_bool *explained, bool fine,
                  const struct warren_receipt *receipt, const char *which)
{
    if (!fine && !atomic_exchange(explained, true))
        explain(receipt, which);
    atomic_fetch_add_explicit(&results[receipt->result], 1, memory_order_relaxed);
}

void publish_tally_receipt(const struct warren_receipt *receipt, void *user)
{
    struct publish_tally *tally = user;
    bool fine = receipt->result == WARREN_CONFIRMED ||
                (receipt->result == WARREN_SPOOLED && tally->has_spool);

    count(tally->results, &tally->explained, fine, receipt, "");
}

/* It is removed for its age, and was reported before as returned. */
static bool was_refused(const struct warren_receipt *receipt)
{
    return receipt->result == WARREN_EXPIRED && receipt->reply_text && receipt->reply_text[0];
}

void publish_tally_end(const struct warren_receipt *receipt, void *user)
{
    struct publish_tally *tally = user;

    if (tally->earlier > 0 || was_refused(receipt)) {
        tally->earlier -= !was_refused(receipt);
        count(tally->earlier_results, &tally->earlier_explained,
              receipt->result == WARREN_CONFIRMED, receipt, ", in the spool from earlier");
        return;
    }
    publish_tally_receipt(receipt, user);
    atomic_fetch_sub_explicit(&tally->results[WARREN_SPOOLED], 1, memory_order_relaxed);
}

/* ---- sums ---- */

static uint64_t sum_of(const atomic_uint_fast64_t *results)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= WARREN_SPOOLED; i++)
        sum += results[i];
    return sum;
}

uint64_t publish_tally_ended(const struct publish_tally *tally)
{
    return sum_of(tally->results);
}

uint64_t publish_tally_settled(const struct publish_tally *tally)
{
    return publish_tally_ended(tally) - tally->results[WARREN_SPOOLED];
}

uint64_t publish_tally_earlier(const struct publish_tally *tally)
{
    return sum_of(tally->earlier_results);
}

bool publish_tally_is_clean(const struct publish_tally *tally)
{
    uint64_t fine = tally->results[WARREN_CONFIRMED];

    if (tally->has_spool)
        fine += tally->results[WARREN_SPOOLED];
    return fine == tally->published &&
           publish_tally_earlier(tally) == tally->earlier_results[WARREN_CONFIRMED];
}

/* "confirmed 2, returned 1": the first one always. */
static void write_results(const atomic_uint_fast64_t *results, FILE *out)
{
    for (size_t i = 0; i <= WARREN_SPOOLED; i++)
        if (results[i] > 0 || i == WARREN_CONFIRMED)
            fprintf(out, "%s%s %" PRIuFAST64, i == WARREN_CONFIRMED ? "" : ", ",
                    warren_result_name((enum warren_result)i), results[i]);
}

void publish_tally_write(const struct publish_tally *tally, double seconds, FILE *out)
{
    fprintf(out, "published %" PRIu64 ", ", tally->published);
    write_results(tally->results, out);
    c_fprintf(out, " in %.3f s (%.0f/s)\n", seconds,
              seconds > 0 ? (double)tally->published / seconds : 0);
    if (publish_tally_earlier(tally) == 0)
        return;
    fputs("in the spool from earlier: ", out);
    write_results(tally->earlier_results, out);
    fputc('\n', out);
}

static void write_member(FILE *out, const char *before, const atomic_uint_fast64_t *results,
                         enum warren_result result)
{
    uint64_t number = results[result];

    if (result == WARREN_TIMEOUT)
        number += results[WARREN_EXPIRED];
    fprintf(out, "%s\"%s\":%" PRIu64, before, warren_result_name(result), number);
}

void publish_tally_write_json(const struct publish_tally *tally, double seconds, FILE *out)
{
    const atomic_uint_fast64_t *earlier = tally->earlier_results;

    fprintf(out, "{\"published\":%" PRIu64, tally->published);
    write_member(out, ",", tally->results, WARREN_CONFIRMED);
    write_member(out, ",", tally->results, WARREN_RETURNED);
    write_member(out, ",", tally->results, WARREN_NACKED);
    if (tally->has_spool)
        write_member(out, ",", tally->results, WARREN_SPOOLED);
    write_member(out, ",", tally->results, WARREN_TIMEOUT);
    c_fprintf(out, ",\"seconds\":%.3f", seconds);
    if (publish_tally_earlier(tally) > 0) {
        write_member(out, ",\"earlier\":{", earlier, WARREN_CONFIRMED);
        write_member(out, ",", earlier, WARREN_RETURNED);
        write_member(out, ",", earlier, WARREN_TIMEOUT);
        fputc('}', out);
    }
    fputs("}\n", out);
}
