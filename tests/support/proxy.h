/* proxy.h - a TCP proxy in front of a broker that makes the network bad on command.
 * Thread: it runs its own; every function may be called by any thread, and takes effect at once.
 */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

struct proxy;

enum proxy_direction { PROXY_TO_BROKER, PROXY_TO_CLIENT };

/** What happens to the bytes of one direction. All zero: they pass unharmed. */
struct proxy_rule {
    uint32_t delay_ms;    /**< each piece is held back so long (at most 64 KiB on the way) */
    uint32_t slice;       /**< bytes at most in one send() */
    uint32_t bytes_per_s; /**< rate limit */
    uint64_t cut_after;   /**< RST both ends when so many more bytes have passed; once */
};

enum proxy_cut { PROXY_RST, PROXY_FIN };

/** Proxy to PORT of the loopback; never NULL. */
struct proxy *proxy_new(uint16_t port);
/** Cuts everything. NULL is fine. */
void proxy_free(struct proxy *proxy);

uint16_t proxy_port(const struct proxy *proxy);
/** amqp://guest:guest@127.0.0.1:PORT/; lives as long as the proxy. */
const char *proxy_uri(const struct proxy *proxy);

void proxy_set(struct proxy *proxy, enum proxy_direction direction, const struct proxy_rule *rule);

/** End every present connection, both sides, at once. @return how many there were */
int proxy_cut(struct proxy *proxy, enum proxy_cut how);

/** While true nothing passes and nothing is closed; new connections are accepted and ignored. */
void proxy_black_hole(struct proxy *proxy, bool on);

/** While true a new connection is reset at once. */
void proxy_refuse(struct proxy *proxy, bool on);

/** Connections accepted so far, and open now. */
int proxy_accepted(struct proxy *proxy);
int proxy_open(struct proxy *proxy);
/** Bytes passed on so far, over all connections. */
uint64_t proxy_passed(struct proxy *proxy, enum proxy_direction direction);

#endif
