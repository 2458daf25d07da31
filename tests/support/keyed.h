/* keyed.h - messages with keys, for the handler ordered.run (tests/plugins/ordered.c): publishing
 * them, and reading what it has written down.
 * A message's key is "kKEY" in a header, its body "kKEY NUMBER", its id "kKEY-NUMBER".
 * Thread: the test's.
 */
#ifndef TESTS_SUPPORT_KEYED_H
#define TESTS_SUPPORT_KEYED_H

#include <stdatomic.h>

#include "support/fixture.h"

/** As fixture_setup(), with a name in `record`. */
int keyed_setup(void **state);
#define KEYED_TEST(name, type)                                                                     \
    cmocka_unit_test_prestate_setup_teardown(name, keyed_setup, fixture_teardown,                  \
                                             (void *)(uintptr_t)(const char *)(type))

/* ---- publishing ---- */

struct keyed {
    struct warren_publisher *publisher;
    const char *queue;
    const char *exchange; /* in place of it, with the key as routing key; NULL at first */
    const char *header;
    unsigned accepted;
    atomic_uint confirmed;
};

/** To the queue of @f; the key stands in @header. */
void keyed_begin(struct keyed *keyed, const struct fixture *f, const char *header);
/** @value  in the header in place of the key; WARREN_VOID: there is no header; NULL: the key */
void keyed_publish(struct keyed *keyed, unsigned key, unsigned number,
                   const struct warren_value *value);
/** When all are confirmed. */
void keyed_end(struct keyed *keyed);

/** All of it: numbers below @each of @keys, one of each key after the other. */
void keyed_publish_all(const struct fixture *f, const char *header, unsigned keys, unsigned each);

/** Messages whose header is missing, of another type, or empty, */
#define KEYED_ODD_WITHOUT 4
/** and others in which it is a number, has a NUL, or 100 kB. */
#define KEYED_ODD_WITH 3
void keyed_publish_odd(const struct fixture *f, const char *header);

/* ---- what was handled ---- */

struct keyed_line {
    bool begins; /* else it ends */
    int pid;     /* of the worker */
    unsigned key;
    unsigned number;
    int attempt;   /* when it begins */
    char what[32]; /* the outcome, when it ends: "ack" */
};

static inline bool keyed_is_acked(const struct keyed_line *line)
{
    return !line->begins && strcmp(line->what, "ack") == 0;
}

/** Call @play with each line of `record`, as far as it is written. No key reaches @keys. */
void keyed_play(const struct fixture *f, unsigned keys,
                void (*play)(void *user, const struct keyed_line *line), void *user);

/** The worker comes to have that number, in a range, in its series of @queue; @more: further
 * labels, with a comma before each. */
void keyed_expect(const struct fixture *f, const char *queue, const char *family, const char *more,
                  double least, double most);

#endif
