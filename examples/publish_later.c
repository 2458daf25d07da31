/* publish_later.c - publish one message that its queue gets some seconds later; this program need
 * not live until then.
 *
 *   cc publish_later.c $(pkg-config --cflags --libs warren) -o publish_later
 *   ./publish_later amqp://guest:guest@127.0.0.1:5672/ payments 90 '{"amount": 5}'
 */
#include <stdio.h>
#include <stdlib.h>

#include <warren/warren.h>

/* On the publisher's thread. CONFIRMED: the message waits on the broker. */
static void on_receipt(const struct warren_receipt *receipt, void *user)
{
    enum warren_result *result = user;

    *result = receipt->result;
    printf("%s%s%s\n", warren_result_name(receipt->result), *receipt->reply_text ? ": " : "",
           receipt->reply_text);
}

int main(int argc, char **argv)
{
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    struct warren_message message = {0};
    struct warren_publish publish = {.message = &message};
    struct warren_error error = {WARREN_OK, ""};
    enum warren_result result = WARREN_TIMEOUT;
    enum warren_status status;
    const char *uri;

    if (argc != 5) {
        fprintf(stderr, "usage: %s URI QUEUE SECONDS BODY\n", argv[0]);
        return 2;
    }
    uri = argv[1];
    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.timeout_ms = 10000;
    if (warren_publisher_new(&options, &publisher, &error) != WARREN_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }

    publish.routing_key = argv[2]; /* the default exchange routes by the queue's name */
    message.body = warren_text(argv[4]);
    status = warren_publisher_publish_after(publisher, &publish, atoll(argv[3]) * 1000, on_receipt,
                                            &result, &error);
    if (status != WARREN_OK)
        fprintf(stderr, "%s\n", error.text);

    warren_publisher_close(publisher, 15000); /* waits for the receipt */
    return status == WARREN_OK && result == WARREN_CONFIRMED ? 0 : 1;
}
