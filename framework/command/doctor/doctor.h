/* doctor.h - the checks of `warren doctor`: a table of them, and what they know.
 *
 * A check gathers facts and judges them. Gathering has a deadline (within.h, broker_check.h) and
 * changes nothing; judging is a function of the facts alone, so that a test can provoke each
 * finding. A check writes findings under its own name, which people's scripts may know:
 * docs/operations.md has all of them.
 * Thread: main. Elsewhere: the command (command_doctor.c), printing (findings.h).
 */
#ifndef WARREN_COMMAND_DOCTOR_H
#define WARREN_COMMAND_DOCTOR_H

#include "app/worker_setup.h"
#include "command/cli/cli.h"
#include "command/cli/progress.h"
#include "command/doctor/judge.h"
#include "config/config.h"

/** Folders that a configuration names. */
#define DOCTOR_PLACES_MAX 3

struct doctor {
    const struct config *config;                /* with complete chains, once `setup` is there */
    const char *file;                           /* NULL: none was given */
    struct worker_setup *setup;                 /* zeroed until it was found to fit its plugins */
    const struct warren_worker_options *worker; /* of `setup` */
    const struct cli_list *uris; /* in place of those of the configuration; may be empty */
    bool misconfigured;          /* handlers, middlewares or their options are wrong */
    bool offline;
    struct broker_facts broker;
    struct place places[DOCTOR_PLACES_MAX];
    size_t place_count;
    bool placed; /* they were looked at */
    struct findings findings;
    struct progress progress;
    const char *doing; /* the check that runs, for the progress */
};

/** What a check needs, or it is left out. */
enum doctor_needs {
    NEEDS_NOTHING,
    NEEDS_FILE,
    NEEDS_BROKER, /* that let us in */
    NEEDS_LOOK,   /* a file, and a look at all of it that came to its end */
};

struct doctor_check {
    const char *name;
    const char *asks; /* one question, for --help and docs/operations.md */
    enum doctor_needs needs;
    void (*run)(struct doctor *doctor);
};

/** In the order in which they run; ends with a NULL name. */
extern const struct doctor_check doctor_checks[];

/** For within() and others: say how far it is, on a terminal. @arg  the struct doctor */
void doctor_waits(void *arg);

/* plugins.c, handlers and all that: the worker as far as it can be put together here */
void check_plugins(struct doctor *doctor);
void check_configuration(struct doctor *doctor);
/* certificates.c */
void check_certificates(struct doctor *doctor);
void check_tls(struct doctor *doctor);
/* places.c */
void check_state_folder(struct doctor *doctor);
void check_disk_space(struct doctor *doctor);
void check_fsync(struct doctor *doctor);
/* system.c */
void check_clock(struct doctor *doctor);
void check_descriptors(struct doctor *doctor);
void check_stack(struct doctor *doctor);
void check_threads(struct doctor *doctor);
void check_memory(struct doctor *doctor);
void check_file_size(struct doctor *doctor);
/* limits.c */
void check_ack_timeout(struct doctor *doctor);
void check_delivery_limit(struct doctor *doctor);
/* dead_letters.c */
void check_dead_letter_cycles(struct doctor *doctor);
/* broker.c */
void check_broker(struct doctor *doctor);
void check_version(struct doctor *doctor);
void check_channels(struct doctor *doctor);
void check_frame_size(struct doctor *doctor);
void check_message_size(struct doctor *doctor);
/* topology.c */
void check_queue_types(struct doctor *doctor);
void check_topology(struct doctor *doctor);
void check_dead_letter_exchange(struct doctor *doctor);
void check_permissions(struct doctor *doctor);

#endif
