/* flight_file.h - the flight recorder's memory: how it is laid out, and how one process finds what
 * another left behind.
 *
 *   head | slots, one a worker thread, and some of the loop | notes, one a message | reports, one
 *        a crash
 *
 * It is a file of the state directory, mapped and flock()ed while its owner lives, or memory that
 * is handed through execv(). What a killed process wrote is there, for the pages are the kernel's.
 * Nothing that is read from one is trusted: sizes are checked, notes and reports carry a checksum.
 * Thread: setting up.
 */
#ifndef WARREN_CONSUME_FLIGHT_FILE_H
#define WARREN_CONSUME_FLIGHT_FILE_H

#include <stdatomic.h>

#include <warren/status.h>

#include "consume/crash/identity.h"

#define FLIGHT_NAME_SIZE 256 /* a short string of AMQP and a NUL */
#define FLIGHT_TEXT_SIZE 4096
/** Signals of a fault. */
#define FLIGHT_SIGNALS 7

/** Crashes of one process that are reported, and reports of earlier ones that are kept. */
#define FLIGHT_REPORTS_OWN  16
#define FLIGHT_REPORTS_KEPT 64
#define FLIGHT_REPORTS      (FLIGHT_REPORTS_OWN + FLIGHT_REPORTS_KEPT)

/** Restarts of an earlier process that re-executed itself. */
struct flight_restarts {
    uint32_t count;  /* in a row, each soon after the one before */
    int64_t last_ms; /* since 1970 */
};

/** What is counted from process to process, as long as each finds what the one before left. */
enum flight_tally {
    TALLY_SIGNAL, /* handlers that crashed, by fault_signal_place(), */
    TALLY_EXIT = TALLY_SIGNAL + FLIGHT_SIGNALS, /* that ended their thread, or the process */
    TALLY_LIMIT,                                /* that did not return by their hard limit */
    TALLY_KILLED,   /* messages in a handler when the process was killed; the next one counts */
    TALLY_FALLS,    /* falls of a process */
    TALLY_RESTARTS, /* times that a process executed itself */
    FLIGHT_TALLIES
};

struct flight_head {
    char magic[8]; /* written last */
    uint32_t version;
    uint32_t slot_count;
    uint32_t note_count;
    uint32_t report_count;
    uint32_t sizes; /* a hash of the sizes of these structs */
    int32_t pid;
    uint64_t key;                 /* of broker and queues */
    _Atomic uint32_t landed;      /* the process ended in good order: its slots accuse nobody */
    _Atomic uint32_t own_reports; /* taken, perhaps more than there are */
    struct flight_restarts restarts;
    _Atomic uint32_t fallen;      /* a fatal signal came outside of the handlers, or something of
                                     warren's      was taken away under it */
    _Atomic uint32_t fall_report; /* + 1; 0: none */
    _Atomic uint32_t falls;       /* of processes in a row, this one included */
    int64_t fallen_ms;            /* when the last one fell, since 1970 */
    _Atomic uint64_t alone_begun; /* messages begun here when the last one began that runs alone, */
    uint32_t alone_slot;          /* and where that is */
    _Atomic uint32_t tallies[FLIGHT_TALLIES];
};

/** What a worker thread does. The two low bits of flight_slot.state; the rest counts messages. */
enum flight_state {
    FLIGHT_IDLE,    /* the slot has its last message, if there was one */
    FLIGHT_RUNNING, /* a handler */
    FLIGHT_CRASHED, /* the handler, by a signal: the thread is parked */
    FLIGHT_STUCK    /* not returned by the hard limit: the thread is parked or lost */
};
#define FLIGHT_STATE_MASK UINT64_C(3)
#define FLIGHT_STATE_STEP UINT64_C(4)

struct flight_slot {
    _Atomic uint64_t state; /* written last */
    struct identity message;
    uint32_t failed;  /* attempts that failed before this one, since this process has the message */
    uint32_t crashes; /* that it was suspected of when it began */
    uint8_t alone;    /* nothing else ran: whatever happens, this message did it */
    uint8_t id_len;
    uint8_t ahead;           /* of the event loop: its state counts no messages */
    uint8_t level;           /* of the batch in which it is: see flight_level() */
    _Atomic uint32_t report; /* + 1; 0: none */
    char message_id[FLIGHT_NAME_SIZE];
    char queue[FLIGHT_NAME_SIZE]; /* written once */
    char handler[FLIGHT_NAME_SIZE];
};

/** Why a message is suspected. */
enum flight_reason {
    FLIGHT_NO_REASON,
    FLIGHT_SIGNAL, /* its handler got one of the signals of a fault; 0: it ended its thread, or the
                      process */
    FLIGHT_LIMIT,  /* its handler did not return by the hard limit */
    FLIGHT_KILLED, /* it was in a handler when the process died */
    FLIGHT_FALL, /* it was the last one of its thread when the process fell outside of a handler */
    FLIGHT_AHEAD /* as FLIGHT_SIGNAL, in a plugin's `key` or `before`, on the event loop */
};
#define FLIGHT_REASON_LAST FLIGHT_AHEAD

/** The level of a batch of @count messages: it has at most 2 to the power of that. 0: one alone. */
static inline uint8_t flight_level(uint32_t count)
{
    uint8_t level = 0;

    while (level < 31 && (UINT32_C(1) << level) < count)
        level++;
    return level;
}

#define FLIGHT_LEVEL_SHIFT 8

/** What is remembered of a message that is not settled. All zero: free. */
struct flight_note {
    struct identity message;
    uint32_t failed;  /* failed attempts that no header counts */
    uint32_t crashes; /* processes that it took down, or may have */
    uint32_t report;  /* + 1; 0: none */
    uint32_t reason; /* enum flight_reason, of the last crash; above FLIGHT_LEVEL_SHIFT the level of
                        the batch in which it was */
    int64_t first_ms; /* when it was noted first, since 1970 */
    int64_t noted_ms; /* and last */
    uint64_t check;
};

/** How a handler crashed. All zero: none. */
struct flight_report {
    uint32_t reason;
    int32_t signal;   /* 0: none */
    int32_t code;     /* si_code */
    uint32_t attempt; /* 0: not known */
    uint64_t address; /* si_addr */
    int64_t at_ms;    /* since 1970 */
    char queue[FLIGHT_NAME_SIZE];
    char handler[FLIGHT_NAME_SIZE];
    char message_id[FLIGHT_NAME_SIZE];
    char backtrace[FLIGHT_TEXT_SIZE];
    _Atomic uint32_t done; /* all of it is written */
    uint32_t id_len; /* of message_id; 0: as far as its first NUL, as earlier warrens noted it */
};

static inline enum flight_reason flight_note_reason(const struct flight_note *note)
{
    return (enum flight_reason)(note->reason & ((1u << FLIGHT_LEVEL_SHIFT) - 1));
}
/** 0: it was alone, or nothing has crashed. */
static inline uint32_t flight_note_level(const struct flight_note *note)
{
    return note->reason >> FLIGHT_LEVEL_SHIFT;
}
/** How many messages may be handled together with such a one, itself included: half of those that
 * it crashed with. 0: there is no such limit. */
static inline uint32_t flight_note_most(const struct flight_note *note)
{
    uint32_t level = flight_note_level(note);

    return level == 0 ? 0 : UINT32_C(1) << (level - 1);
}
/** Is it suspected of having ended a process, alone or among others? */
static inline bool flight_note_is_suspect(const struct flight_note *note)
{
    return note->crashes > 0 || flight_note_level(note) > 0;
}

/** A message id with its length, of a file that may be damaged. */
static inline struct warren_bytes flight_message_id(const char text[FLIGHT_NAME_SIZE], uint32_t len)
{
    struct warren_bytes id = {text, len};

    if (len == 0 || len >= FLIGHT_NAME_SIZE)
        id.len = strnlen(text, FLIGHT_NAME_SIZE - 1);
    return id;
}

/** One mapped recorder. */
struct flight_file {
    struct flight_head *head;
    struct flight_slot *slots;
    struct flight_note *notes;
    struct flight_report *reports;
    size_t size;
    int fd;     /* locked */
    char *path; /* NULL: memory */
};

struct flight_shape {
    uint32_t slots;
    uint32_t notes;
};

/** Memory of a shape, all zero but the head. WARREN_OK; WARREN_EIO or WARREN_ENOMEM with @error */
enum warren_status flight_file_memory(const struct flight_shape *shape, uint64_t key,
                                      struct flight_file *file, struct warren_error *error);

/** What is called for recorders that no process holds any more. */
struct flight_heir {
    /** To be merged into the new file, which is then written to the disk; after that @file goes. */
    void (*earlier)(void *user, const struct flight_file *file);
    /** It cannot be read, and is removed: it would never be of use. @why is one clause. */
    void (*refused)(void *user, const char *path, const char *why);
    /** It is of another key, nobody has written to it for FLIGHT_ORPHAN_MS, and it is removed. */
    void (*orphaned)(void *user, const char *path);
    void *user;
};

/** Longer than any note is kept. */
#define FLIGHT_ORPHAN_MS (INT64_C(7) * 24 * 3600 * 1000)

/**
 * The same in a new file of @directory, which is made if only its last part is missing.
 *
 * @heir    of the recorders of @key, and of what is left of others
 * @return  WARREN_OK; WARREN_ECONFIG: the directory is missing, or not to be written by this
 *          process; WARREN_EIO or WARREN_ENOMEM. With @error
 */
enum warren_status flight_file_create(const char *directory, const struct flight_shape *shape,
                                      uint64_t key, const struct flight_heir *heir,
                                      struct flight_file *file, struct warren_error *error);

/**
 * Map the recorder that @fd is, to read it.
 *
 * @return NULL: @fd is @file's; else why it is no recorder of @key: one clause
 */
const char *flight_file_read(int fd, uint64_t key, struct flight_file *file);

/**
 * From now on it is of @key, and found by the next process that has that one.
 *
 * @return WARREN_OK; WARREN_EIO, WARREN_ECONFIG or WARREN_ENOMEM with @error: all is as it was
 */
enum warren_status flight_file_rekey(struct flight_file *file, uint64_t key,
                                     struct warren_error *error);

/** Write it to the disk, now. */
void flight_file_sync(const struct flight_file *file);
/** @remove: the file, too. One whose fd is -1 is fine. */
void flight_file_close(struct flight_file *file, bool remove);

#endif
