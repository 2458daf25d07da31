/* judge.h - facts that the checks of `warren doctor` gather, and what is found of them. Whoever
 * judges touches nothing else, so that each finding can be provoked.
 * Thread: main. Elsewhere: the facts of a broker (broker_facts.h), the checks (doctor.h).
 */
#ifndef WARREN_COMMAND_DOCTOR_JUDGE_H
#define WARREN_COMMAND_DOCTOR_JUDGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "command/doctor/broker_facts.h"
#include "command/doctor/findings.h"
#include "command/doctor/within.h"

/* ---- system_facts.c, system.c ---- */

/** A limit that there is not. */
#define NO_LIMIT UINT64_MAX

/** What this process has and may. A limit: NO_LIMIT: none. */
struct system_facts {
    int64_t wall_s;  /* since 1970 */
    int clock_error; /* of adjtimex(2): errno; 0: it told */
    bool clock_synchronised;
    int64_t clock_off_us; /* how wrong it may be, by the kernel's own estimate */
    uint64_t descriptors; /* RLIMIT_NOFILE, soft */
    uint64_t descriptors_hard;
    uint64_t stack;     /* RLIMIT_STACK, soft; bytes */
    uint64_t processes; /* RLIMIT_NPROC, soft: threads of this user */
    uint64_t tasks;     /* that the control group may have besides those there are */
    uint64_t memory;    /* of the control group, or of the machine; bytes */
    uint64_t file_size; /* RLIMIT_FSIZE, soft; bytes */
    /* What a worker of the configuration takes; 0: nothing that is known */
    uint64_t need_descriptors;
    uint64_t need_threads;
    uint64_t need_memory;
    uint64_t need_file_size;
};

/** @config says what a worker needs, if it has subscriptions. */
struct system_facts system_gather(const struct config *config);

void judge_clock(struct findings *findings, const struct system_facts *facts);
void judge_descriptors(struct findings *findings, const struct system_facts *facts);
void judge_stack(struct findings *findings, const struct system_facts *facts);
void judge_threads(struct findings *findings, const struct system_facts *facts);
void judge_memory(struct findings *findings, const struct system_facts *facts);
void judge_file_size(struct findings *findings, const struct system_facts *facts);

/* ---- place_facts.c, places.c: folders in which something is kept ---- */

/** How long a file system has for its answers. */
#define PLACE_PATIENCE_MS 10000

enum place_kind {
    PLACE_DISK,
    PLACE_MEMORY,  /* tmpfs */
    PLACE_LAYER,   /* overlay: the writable layer of a container */
    PLACE_NETWORK, /* NFS, SMB, 9P, Ceph, ... */
    PLACE_UNKNOWN, /* FUSE: anything */
};

/** The kind of a file system by statfs(2), and its name. */
enum place_kind place_kind_of(uint64_t type, const char **ret_name);

/** Bytes without which nothing that is kept can grow. */
#define PLACE_LEAST ((uint64_t)16 << 20)

struct place_facts {
    enum within_end end; /* of gathering the rest */
    bool exists;         /* the folder does */
    bool can_make;       /* it does not, and the worker can make it */
    int error;           /* errno of looking at it */
    int write_error;     /* errno of making a file in it; 0: it can be */
    int file_error;      /* errno of the file itself, if that exists; 0 */
    int lock_error;      /* of fcntl(2) */
    int map_error;       /* of mmap(2), shared */
    int sync_error;      /* of fdatasync(2) */
    int64_t sync_us;     /* the slowest of some, in microseconds */
    int64_t sync_least_us;
    uint64_t type; /* of statfs(2) */
    uint64_t device;
    uint64_t free;   /* for who is not root; bytes */
    uint64_t inodes; /* free ones; NO_LIMIT: it has no bound */
    uint64_t has;    /* bytes of the file, and of its log */
};

/** A folder, and what it is for. */
struct place {
    const char *what; /* the option: "state_dir" */
    const char *path; /* of the folder or file */
    bool is_folder;
    bool database;  /* SQLite's */
    bool synced;    /* each commit waits for the disk */
    uint64_t grows; /* bytes up to which what is in it may grow */
    struct place_facts facts;
};

/** Fill in the facts, by a child process. */
void place_gather(struct place *place, within_wait_fn *wait, void *user);

void judge_state_folder(struct findings *findings, const struct place *place);
void judge_fsync(struct findings *findings, const struct place *place);
/** Of all @count that are on one file system together. */
void judge_disk_space(struct findings *findings, const struct place *places, size_t count);

/* ---- plugins.c ---- */

struct plugin_facts {
    enum within_end end;
    int signal; /* that ended the process which loaded it */
    enum warren_status status;
    char text[WARREN_ERROR_TEXT_MAX]; /* of a failure */
    char name[80];
    char version[80];
    size_t handlers;
    size_t middlewares;
};

void judge_plugin(struct findings *findings, const char *where, const struct plugin_facts *facts);

/* ---- certificates.c ---- */

/** @what  such as "broker.tls.cert_file FILE"; @advice  how to have another one */
void judge_certificate(struct findings *findings, const char *check, const char *what,
                       const char *advice, const struct certificate *certificate, int64_t now_s);
void judge_tls(struct findings *findings, const struct broker_facts *facts, int64_t now_s);

/* ---- limits.c, dead_letters.c: what the file says; topology.c: and the broker ---- */

/** @facts: those of a broker that was not reached say nothing of its version. */
void judge_ack_timeout(struct findings *findings, const struct config *config,
                       const struct broker_facts *facts);
void judge_delivery_limit(struct findings *findings, const struct config *config,
                          const struct broker_facts *facts);
void judge_dead_letter_cycles(struct findings *findings, const struct config *config);
void judge_queue_types(struct findings *findings, const struct config *config,
                       const struct broker_facts *facts);
void judge_topology(struct findings *findings, const struct config *config,
                    const struct broker_facts *facts);
void judge_dead_letter_exchange(struct findings *findings, const struct config *config,
                                const struct broker_facts *facts);
void judge_permissions(struct findings *findings, const struct config *config,
                       const struct broker_facts *facts);

/* ---- broker.c ---- */

void judge_broker(struct findings *findings, const struct broker_facts *facts);
void judge_version(struct findings *findings, const struct broker_facts *facts);
void judge_channels(struct findings *findings, const struct broker_facts *facts);
void judge_frame_size(struct findings *findings, const struct broker_facts *facts);
/** @message_max  of the configuration: consumer.message_max */
void judge_message_size(struct findings *findings, const struct broker_facts *facts,
                        int64_t message_max);

#endif
