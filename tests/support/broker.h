/* broker.h - private RabbitMQ nodes for tests, by scripts/broker.
 * Thread: the test's. Failures to start or to command a node end the test program with the reason:
 * there is nothing to test then.
 */
#ifndef TESTS_SUPPORT_BROKER_H
#define TESTS_SUPPORT_BROKER_H

#include <stdbool.h>
#include <stdint.h>

struct broker {
    char *name;
    bool own;     /* removed by broker_free() */
    bool away;    /* stopped, killed or paused by broker_do() */
    bool alarmed; /* by broker_memory_alarm() */
    uint16_t port;
    uint16_t tls_port; /* 0: no TLS listener */
    char *uri;         /* amqp://guest:guest@127.0.0.1:PORT/ */
    char *tls_uri;     /* amqps://guest:guest@localhost:PORT/ */
    char *certs;       /* directory of scripts/certs, with a TLS listener */
    char *version;     /* of RabbitMQ: "3.10.8" */
    /* Of broker_own_management(), else NULL. */
    char *management;     /* http://127.0.0.1:PORT */
    char *management_tls; /* https://localhost:PORT */
    /* For broker_eval(), where no other tool is needed. */
    char *node;
    char *cookie;
    char *epmd; /* a variable of the environment */
};

/** Whether it is RabbitMQ @major.@minor or a later one. */
bool broker_at_least(const struct broker *broker, unsigned major, unsigned minor);

/**
 * The node that all test programs share: the one that WARREN_TEST_NODE names (ctest's fixture),
 * else one named "test", which is started and left running. A test that stops, kills, pauses or
 * alarms the node, or closes connections other than its own, takes broker_own().
 * Found once for the program, whose it stays.
 */
struct broker *broker_shared(void);

/** A node of this program alone. */
struct broker *broker_own(const char *name, bool tls);

/** The same with TLS and RabbitMQ's management API; it takes longer to start, and more memory. */
struct broker *broker_own_management(const char *name);

/** The same as broker_own() with the exchange type x-consistent-hash, of a plugin. */
struct broker *broker_own_hash(const char *name);

/** NULL is fine, and so is the shared one, which stays. */
void broker_free(struct broker *broker);

/** One command of scripts/broker: "stop", "start", "restart", "kill", "pause", "resume", "cut". */
void broker_do(struct broker *broker, const char *command);

/**
 * For the teardown of each test: whatever a test that failed half-way did to the node is undone, so
 * that the next one finds it running. Costs nothing where nothing is to be undone.
 */
void broker_restore(struct broker *broker);

/**
 * SIGKILL, once it is on the disk which queues there are. RabbitMQ 3.10 itself may lose a queue,
 * confirmed messages and all, that was declared a moment before (for quorum queues: ra pull request
 * 443). No client can do anything about that, and no test here is about it.
 */
void broker_kill(struct broker *broker);

/**
 * Run Erlang code in the node. Takes 30 ms.
 *
 * @return  what it evaluates to; the caller frees
 */
char *broker_eval(const struct broker *broker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * Close the connections whose client-given name (`connection_name`) begins with @prefix, as an
 * operator would.
 *
 * @return  how many
 */
int broker_close_connections(const struct broker *broker, const char *prefix);

/** How many connections have a client-given name that begins with @prefix. */
int broker_count_connections(const struct broker *broker, const char *prefix);

/** An empty virtual host that guest may use; the URI to it, which the caller frees. */
char *broker_vhost(const struct broker *broker, const char *vhost);
void broker_delete_vhost(const struct broker *broker, const char *vhost);

/** A user who may do nothing. What is given needs no quoting. */
void broker_add_user(const struct broker *broker, const char *user, const char *password);
/** Tags such as `management`, with commas between. */
void broker_tag_user(const struct broker *broker, const char *user, const char *tags);
/** What @user may do in @vhost; patterns without backslashes. */
void broker_permit(const struct broker *broker, const char *user, const char *vhost,
                   const char *configure, const char *write, const char *read);
void broker_delete_user(const struct broker *broker, const char *user);

/** Deliveries from a queue that nobody has settled yet. */
int broker_unacked(const struct broker *broker, const char *queue);
/** All messages of a queue, ready or delivered, at one moment. */
int broker_messages(const struct broker *broker, const char *queue);

/** The node's log up to now; the caller frees. */
char *broker_log(const struct broker *broker);

/**
 * Make the disk under the quorum queues stand still for @ms milliseconds again and again, or, with
 * 0, no longer: the writer of their log is suspended by another process of the node (which fails
 * while the writer is in a system call).
 */
void broker_stall_disk(const struct broker *broker, int ms);

/** Raise or clear the memory alarm. */
void broker_memory_alarm(struct broker *broker, bool raised);

#endif
