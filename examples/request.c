/* request.c - ask, and wait for the reply.
 *
 *   cc request.c $(pkg-config --cflags --libs warren) -o request
 *   ./request amqp://guest:guest@127.0.0.1:5672/ prices 'what does a burrow cost?'
 *
 * Whoever consumes the queue replies to the message's reply-to with its correlation id; a handler
 * of warren does so with warren_job_reply(). Try it with `answer` of docs/handlers.md, or any other
 * AMQP client. Without a consumer this ends after five seconds, without a queue at once.
 */
#include <stdio.h>

#include <warren/warren.h>

static void print_reply(const struct warren_reply *reply)
{
    const struct warren_message *message = &reply->message;

    fwrite(message->body.data, 1, message->body.len, stdout);
    if (message->properties.content_type)
        printf(" (%s)", message->properties.content_type);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    struct warren_message message = {0};
    struct warren_publish publish = {.message = &message};
    struct warren_error error = {WARREN_OK, ""};
    struct warren_reply *reply = NULL;
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
    if (warren_publisher_new(&options, &publisher, &error) != WARREN_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }

    publish.routing_key = argv[2];
    message.body = warren_text(argv[3]);
    /* One publisher bears any number of requests at once, from any thread. */
    status = warren_publisher_request(publisher, &publish, 5000, &reply, &error);
    if (status == WARREN_OK)
        print_reply(reply);
    else
        fprintf(stderr, "%s: %s\n", warren_status_name(status), error.text);

    warren_reply_free(reply); /* NULL is fine */
    warren_publisher_close(publisher, 1000);
    return status == WARREN_OK ? 0 : 1;
}
