/* peer.h - an independent AMQP client, on rabbitmq-c's blocking half, that checks warren's work.
 * Thread: one at a time. What fails ends the test program with the broker's reason.
 */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp/wire/rabbitmq_c.h"

struct peer;

/** One message taken off a queue. */
struct peer_message {
    char *body; /* with a NUL behind it */
    size_t length;
    bool redelivered;
    char exchange[256];
    char routing_key[256];
    char message_id[256]; /* "" if there is none */
    const amqp_basic_properties_t *properties;
    amqp_message_t raw;
};

/** Connect, with confirms. @uri as `struct broker` has it. */
struct peer *peer_new(const char *uri);
void peer_free(struct peer *peer);

/** Declare a durable queue. @type  "classic", "quorum" or "stream" */
void peer_declare(struct peer *peer, const char *queue, const char *type);
/** The same with more arguments. */
void peer_declare_with(struct peer *peer, const char *queue, const char *type,
                       const amqp_table_entry_t *arguments, int count);
void peer_exchange(struct peer *peer, const char *exchange, const char *type);
void peer_bind(struct peer *peer, const char *queue, const char *exchange, const char *key);
/** With QUEUE.dlx and QUEUE.dlq, which a worker may have declared. Each may be missing. */
void peer_delete(struct peer *peer, const char *queue);
/** The queue, and nothing of its dead letters. */
void peer_delete_alone(struct peer *peer, const char *queue);
void peer_delete_exchange(struct peer *peer, const char *exchange);
void peer_purge(struct peer *peer, const char *queue);

/** Consume from @queue, hold the first message, until peer_free(): @peer is for nothing else. */
void peer_hold(struct peer *peer, const char *queue, bool exclusive);

/** Messages that are ready, or -1 if there is no such queue. */
int peer_count(struct peer *peer, const char *queue);
int peer_consumers(struct peer *peer, const char *queue);

/** Publish one persistent message and wait for its confirm. @properties may be NULL. */
void peer_publish(struct peer *peer, const char *exchange, const char *key, const void *body,
                  size_t length, const amqp_basic_properties_t *properties);
/** A text for @queue, also with the message id @id, which may be NULL. */
void peer_say(struct peer *peer, const char *queue, const char *body);
void peer_publish_id(struct peer *peer, const char *queue, const char *id, const char *body);
/** The same as peer_publish() with a routing key that holds a NUL. */
void peer_publish_bytes(struct peer *peer, const char *exchange, const char *key, size_t key_len,
                        const void *body, size_t length, const amqp_basic_properties_t *properties);
/** Publish @count messages to @queue, bodies and message ids "PREFIX-0" and so on; confirmed. */
void peer_publish_many(struct peer *peer, const char *queue, const char *prefix, unsigned count);
/** The same from "PREFIX-FIRST" on. */
void peer_publish_more(struct peer *peer, const char *queue, const char *prefix, unsigned first,
                       unsigned count);

/** Take one message off the queue. @return false if it is empty */
bool peer_get(struct peer *peer, const char *queue, struct peer_message *message);
void peer_message_done(struct peer_message *message);
/** Take all of them off. @each may be NULL. @return how many */
unsigned peer_drain(struct peer *peer, const char *queue,
                    void (*each)(const struct peer_message *message, void *user), void *user);

/**
 * Publish a request whose reply-to is @reply_to, consume from there (also
 * "amq.rabbitmq.reply-to"), and wait 20 s for the answer.
 */
bool peer_ask(struct peer *peer, const char *queue, const char *reply_to, const char *body,
              const char *correlation_id, struct peer_message *answer);

#endif
