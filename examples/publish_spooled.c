/* publish_spooled.c - publish each line of standard input so that neither an outage of the broker
 * nor the end of this program loses it: a line is on disk before it is echoed.
 *
 *   cc publish_spooled.c $(pkg-config --cflags --libs warren) -o publish_spooled
 *   ./publish_spooled amqp://guest:guest@127.0.0.1:5672/ payments.spool payments < bodies.txt
 *
 * What could not be sent stays in payments.spool. The next run sends it first, with the same
 * message ids; `warren spool list payments.spool` shows it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <warren/warren.h>

/* How long to wait in the end for what the broker has not confirmed. */
#define PATIENCE_MS 5000

/* Told of messages whose publish() has returned long ago, perhaps in an earlier run: the id is what
 * they are known by. On the publisher's thread. */
static void on_end(const struct warren_receipt *receipt, void *user)
{
    (void)user;
    if (receipt->result != WARREN_CONFIRMED)
        fprintf(stderr, "%s: %s %s\n", receipt->message_id, warren_result_name(receipt->result),
                receipt->reply_text);
}

static struct warren_publisher *start(const char *uri, const char *spool)
{
    struct warren_publisher_options options;
    struct warren_publisher *publisher = NULL;
    struct warren_error error = {WARREN_OK, ""};

    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.spool_path = spool;
    options.spool_max_bytes = (uint64_t)256 * 1024 * 1024;
    options.spool_when_full = WARREN_SPOOL_FAIL; /* rather than wait for room */
    options.spool_receipt = on_end;
    if (warren_publisher_new(&options, &publisher, &error) != WARREN_OK)
        fprintf(stderr, "%s\n", error.text);
    return publisher;
}

/* @return false: it is neither on disk nor on its way */
static bool keep(struct warren_publisher *publisher, const char *queue, const char *line)
{
    struct warren_message message = {.body = warren_text(line)};
    struct warren_publish publish = {.routing_key = queue, .message = &message};
    struct warren_error error;
    enum warren_status status = warren_publisher_publish(publisher, &publish, NULL, NULL, &error);

    if (status != WARREN_OK)
        fprintf(stderr, "not accepted: %s: %s\n", error.text, line);
    return status == WARREN_OK;
}

int main(int argc, char **argv)
{
    struct warren_publisher_stats stats;
    struct warren_publisher *publisher;
    char line[4096];
    bool kept = true;

    if (argc != 4) {
        fprintf(stderr, "usage: %s URI FILE QUEUE\n", argv[0]);
        return 2;
    }
    publisher = start(argv[1], argv[2]);
    if (!publisher)
        return 1;
    while (kept && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        kept = keep(publisher, argv[3], line);
        if (kept)
            puts(line);
    }
    warren_publisher_flush(publisher, PATIENCE_MS);
    warren_publisher_stats(publisher, &stats);
    fprintf(stderr, "confirmed %" PRIu64 ", refused %" PRIu64 ", still to be sent %" PRIu64 "\n",
            stats.confirmed, stats.spool_refused, stats.spool_messages);
    warren_publisher_close(publisher, 0);
    return kept ? 0 : 1;
}
