/* uri.h - broker addresses: amqp://user:password@host:port/vhost and amqps://.
 * Source: https://www.rabbitmq.com/docs/uri-spec
 * Elsewhere: TLS files and SASL (transport.h, connection.h) are options, not URI parameters.
 */
#ifndef WARREN_AMQP_URI_H
#define WARREN_AMQP_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

#define URI_PART_MAX 256

struct uri {
    bool tls;
    char host[URI_PART_MAX];     /* a name, or an address without brackets; "localhost" if none */
    uint16_t port;               /* 5672 or 5671 where none is given */
    char user[URI_PART_MAX];     /* "guest" where none is given */
    char password[URI_PART_MAX]; /* "guest" without any login; "" for a user without one */
    char vhost[URI_PART_MAX];    /* "/" where none is given, also behind a lone slash */
};

/**
 * Parse, percent-decoding every part. Query and fragment are refused.
 *
 * @return WARREN_OK; WARREN_ECONFIG with @error, whose text holds no piece of the input, for any
 *         piece may belong to the password: the caller knows which URI it was
 */
enum warren_status uri_parse(const char *text, struct uri *uri, struct warren_error *error);

/** RabbitMQ's rules: where the path of @text, from which @uri comes, is a lone slash, the vhost is
 * the one whose name is empty. */
void uri_use_empty_path(const char *text, struct uri *uri);

/** "amqps://host:port/vhost" for people: no user, no password. IPv6 in brackets. */
void uri_describe(const struct uri *uri, char *text, size_t size);

#endif
