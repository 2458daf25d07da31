/* wait.h - waiting with a deadline, and small things that every integration test needs.
 * Thread: any. Nothing here asserts but where it says so.
 */
#ifndef TESTS_SUPPORT_WAIT_H
#define TESTS_SUPPORT_WAIT_H

#include <stdbool.h>

#include "support/test.h"

/** Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);

/** Rest @ms milliseconds; the step of a poll, never a way to wait for something. */
void rest_ms(int64_t ms);

/** The step of a poll that began at @since_ms: longer for who waits long, up to 25 ms, for each
 * look takes CPU from what is waited for. */
void rest_since(int64_t since_ms);

/**
 * Poll @condition until it holds.
 *
 * @return  whether it held before @ms milliseconds were over
 */
bool wait_until(bool (*condition)(void *user), void *user, int64_t ms);

/** The same for any expression: assert_true(WAIT_FOR(count(x) == 5, 10000)). */
#define WAIT_FOR(expression, ms)                                                                   \
    __extension__({                                                                                \
        int64_t wait_since_ = now_ms();                                                            \
        int64_t wait_deadline_ = wait_since_ + (ms);                                               \
        bool wait_held_;                                                                           \
        while (!(wait_held_ = (expression)) && now_ms() < wait_deadline_)                          \
            rest_since(wait_since_);                                                               \
        wait_held_;                                                                                \
    })

/** Fails the test if @part is not in @text. */
#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("\"%s\" is not in:\n%s", part, text);                                         \
    } while (0)

/** How long a test waits for what is going to happen: above all delays, below a test's time limit.
 */
#define PATIENCE_MS (30000 * (int64_t)slowness())

/** How much longer everything may take here: 1, or more under a sanitizer. */
int slowness(void);

/**
 * A name that no other test uses, such as for a queue: "BASE-PID-NUMBER".
 *
 * Ownership: the caller frees.
 */
char *unique_name(const char *base);

/** printf into a new string. Ownership: the caller frees. Aborts if memory ran out. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A new directory under the build folder; removed with all in it by scratch_free(). */
char *scratch_new(void);
void scratch_free(char *directory);

/** Write @content to DIRECTORY/NAME; returns the path, which the caller frees. Aborts on errors. */
char *write_file(const char *directory, const char *name, const char *content);

/** The whole of a file with a NUL behind it, or NULL if there is none. The caller frees. */
char *read_file(const char *path, size_t *length);

/** How many lines a file has; 0 if there is none. */
size_t count_lines(const char *path);

#endif
