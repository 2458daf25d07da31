/* publish_confirmed.c - publish each line of standard input, and treat every way it can end.
 *
 *   cc publish_confirmed.c $(pkg-config --cflags --libs warren) -o publish_confirmed
 *   ./publish_confirmed amqp://guest:guest@127.0.0.1:5672/ payments < bodies.txt
 *
 * Up to `window_messages` are on their way at once; when the window is full, publishing waits for
 * room. Through a lost connection the publisher sends again what was not confirmed, with the same
 * message id, so that a consumer can recognise a duplicate.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <warren/warren.h>

static atomic_ulong failures;

/* What the callback needs to know of one message; here, which line it was. */
struct sent {
    unsigned long line;
};

/* Runs on the publisher's thread, once for each accepted message. */
static void on_receipt(const struct warren_receipt *receipt, void *user)
{
    struct sent *sent = user;

    switch (receipt->result) {
    case WARREN_CONFIRMED:
        break; /* the broker has it: forget it */
    case WARREN_RETURNED:
        /* No queue is bound for the routing key: sending it again is of no use. */
        fprintf(stderr, "line %lu: no queue: %u %s\n", sent->line, receipt->reply_code,
                receipt->reply_text);
        break;
    case WARREN_NACKED:
        /* A queue is full (overflow=reject-publish): later it may work. */
        fprintf(stderr, "line %lu: the queue refused it\n", sent->line);
        break;
    case WARREN_TIMEOUT:
        /* It may be stored or not: send it again under the same message id, or look. */
        fprintf(stderr, "line %lu: not confirmed in time (%s)\n", sent->line, receipt->message_id);
        break;
    case WARREN_EXPIRED:
        /* It never left: it is certainly not stored. */
        fprintf(stderr, "line %lu: no connection in time\n", sent->line);
        break;
    case WARREN_SPOOLED:
        break; /* only with a spool: see publish_spooled.c */
    }
    if (receipt->result != WARREN_CONFIRMED)
        failures++;
    free(sent);
}

static int publish_lines(struct warren_publisher *publisher, const char *queue)
{
    struct warren_message message = {0};
    struct warren_publish publish = {.routing_key = queue, .message = &message};
    unsigned long number = 0;
    char line[4096];

    while (fgets(line, sizeof line, stdin)) {
        struct sent *sent = malloc(sizeof *sent);
        struct warren_error error;
        enum warren_status status;

        if (!sent)
            return 1;
        sent->line = ++number;
        message.body = (struct warren_bytes){line, strcspn(line, "\n")};
        status = warren_publisher_publish(publisher, &publish, on_receipt, sent, &error);
        if (status != WARREN_OK) { /* not accepted: there will be no receipt */
            fprintf(stderr, "line %lu: %s\n", number, error.text);
            free(sent);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    struct warren_publisher_stats stats;
    struct warren_error error = {WARREN_OK, ""};
    const char *uri;
    int failed;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URI QUEUE < LINES\n", argv[0]);
        return 2;
    }
    uri = argv[1];
    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.window_messages = 500;
    options.when_full = WARREN_BLOCK;
    options.timeout_ms = 30000;
    if (warren_publisher_new(&options, &publisher, &error) != WARREN_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }

    failed = publish_lines(publisher, argv[2]);
    warren_publisher_flush(publisher, 0); /* every receipt has come */
    warren_publisher_stats(publisher, &stats);
    printf("published %llu, confirmed %llu, sent again %llu\n", (unsigned long long)stats.published,
           (unsigned long long)stats.confirmed, (unsigned long long)stats.resent);
    warren_publisher_close(publisher, 1000);
    return failed || failures ? 1 : 0;
}
