/* testing_private.h - the inside of a struct warren_test: what testing.c (life, time, publishing)
 * and testing_run.c (messages and their attempts) share. Thread: the test's.
 */
#ifndef WARREN_APP_TESTING_PRIVATE_H
#define WARREN_APP_TESTING_PRIVATE_H

#include <warren/testing.h>

#include "app/testing_published.h"
#include "app/testing_setup.h"
#include "app/testing_stages.h"
#include "consume/runtime/admission.h"
#include "consume/workers/pool.h"

struct testing_clock {
    struct clock clock; /* first: its address is the clock's */
    bool runs;
    int64_t started_ns;       /* of the real one */
    _Atomic int64_t ahead_ns; /* functions of groups may read it on other threads */
};

struct testing_message {
    struct attempt *attempt;
    uint32_t given;  /* number of the first attempt, in place of the headers; 0: none */
    uint32_t number; /* that the next attempt shall have; 0: as the headers say */
};

/** What a batch needs: see testing_batch.c. All zero: nothing yet. */
struct testing_batch {
    size_t room; /* jobs that there are */
    struct warren_job **jobs;
    struct warren_job **members;
    struct attempt **attempts;
    struct warren_test_attempt *reports;
    struct warren_test_dead_letter *dead;
};

struct warren_test {
    uint32_t forks; /* when it was made */
    struct testing_setup setup;
    struct pool pool; /* of groups of functions */
    struct semaphores semaphores;
    struct weights_want *wants; /* what an attempt has of them; NULL: nothing */
    struct testing_published published;
    struct arena noted; /* lengths of texts that hold a NUL */
    struct testing_clock clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct relay relay; /* for dead letters alone: what is attempted again stays here */
    struct warren_job *job;
    struct testing_stages stages;
    struct admission admission; /* as a subscription's, with all that waits for its time */
    struct batch ready;         /* for a worker, in order */
    struct batch done;          /* acked, rejected or discarded */
    struct testing_message messages[WARREN_TEST_MESSAGES_MAX];
    size_t message_count;
    struct attempt *current; /* the last one that was run */
    uint64_t tag;            /* of the last delivery */
    struct warren_test_attempt attempt;
    char error[JOB_ERROR_SIZE];
    struct testing_batch batch;
};

void testing_misused(const char *function, const char *words) __attribute__((noreturn));
/** @return false: the clock would pass its end, and stands there */
bool testing_put_forward(struct warren_test *test, int64_t ms);
/** All that was delivered is gone. */
void testing_forget_messages(struct warren_test *test);

/* ---- testing_run.c: the parts of an attempt, for testing_batch.c ---- */

/** The message that is next; see warren_test_run(). */
struct attempt *testing_next(struct warren_test *test);
/** @attempt begins, in test->job, with its report in test->attempt. */
void testing_begin(struct warren_test *test, struct attempt *attempt);
/** It has weights of semaphores from now on, as its chain gives them back. */
void testing_weigh(struct warren_test *test);
/** The chain has answered @outcome, and @published_before were published before the attempt. */
void testing_end(struct warren_test *test, enum warren_outcome outcome, size_t published_before);

/* ---- testing_batch.c ---- */

/** The jobs of batches are cancelled later, or sooner. */
void testing_batch_deadline_moved(struct warren_test *test);
void testing_batch_done(struct warren_test *test);

#endif
