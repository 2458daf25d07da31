/* publish_one.c - publish one message and wait until the broker has it.
 *
 *   cc publish_one.c $(pkg-config --cflags --libs warren) -o publish_one
 *   ./publish_one amqp://guest:guest@127.0.0.1:5672/ payments '{"amount": 5}'
 */
#include <stdio.h>

#include <warren/warren.h>

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

    if (argc != 4) {
        fprintf(stderr, "usage: %s URI QUEUE BODY\n", argv[0]);
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
    message.body = warren_text(argv[3]);
    message.properties.content_type = "application/json";
    status = warren_publisher_publish_wait(publisher, &publish, &result, &error);
    printf("%s\n", status == WARREN_OK ? warren_result_name(result) : error.text);

    warren_publisher_close(publisher, 1000);
    return status == WARREN_OK && result == WARREN_CONFIRMED ? 0 : 1;
}
