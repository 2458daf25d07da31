/* broker_facts.h - what a look at the broker brought, kept until it is judged.
 * Thread: main. Elsewhere: the look (command/broker/broker_check.h), judging (broker.c,
 * topology.c).
 */
#ifndef WARREN_COMMAND_DOCTOR_BROKER_FACTS_H
#define WARREN_COMMAND_DOCTOR_BROKER_FACTS_H

#include "amqp/net/certificate.h"
#include "amqp/net/uri.h"
#include "command/broker/broker_check.h"

enum broker_note_kind { NOTE_MISSING, NOTE_REFUSED, NOTE_LIMITED, NOTE_RIGHT };

/** One thing that was found. */
struct broker_note {
    enum broker_note_kind kind;
    const char *item; /* MISSING, REFUSED: "queue 'payments'"; LIMITED: a queue's name; RIGHT: what
                         is to be allowed, as broker_right_text() */
    uint16_t code;    /* REFUSED */
    const char *text; /* REFUSED, RIGHT: the broker's */
    int64_t limit;    /* LIMITED */
    const char *why;  /* RIGHT */
    enum right_answer answer;
};

struct broker_facts {
    bool asked;               /* false: --offline */
    bool reached;             /* logged in */
    enum warren_status ended; /* of the look, with */
    char error[WARREN_ERROR_TEXT_MAX];
    char where[512];
    char user[URI_PART_MAX]; /* it logged in as; "": not known, such as that of a certificate */
    char vhost[URI_PART_MAX];
    char server[64];
    int major; /* of RabbitMQ; 0: it is not, or is not known */
    int minor;
    uint32_t frame_max;
    uint32_t channels_needed; /* 0: as many as there may be */
    uint32_t channels_allowed;
    char protocol[16]; /* of TLS; "": none */
    bool has_certificate;
    struct certificate certificate;
    bool plain_far; /* an address without TLS that is not on this machine */
    struct broker_note *notes;
    size_t note_count;
    size_t note_room;
    struct arena arena;
};

void broker_facts_init(struct broker_facts *facts);
void broker_facts_done(struct broker_facts *facts);

/** "RabbitMQ 3.10.8": @facts learns server and version. */
void broker_facts_server(struct broker_facts *facts, const char *server);
/** Add a copy of @note, whose texts are copied, too. */
void broker_facts_note(struct broker_facts *facts, const struct broker_note *note);

/** It is RabbitMQ of that version or a later one. */
bool broker_facts_at_least(const struct broker_facts *facts, int major, int minor);

/**
 * Look; fills @facts. Bounded by the time-outs of @config, each step.
 *
 * @wait  called ten times a second once it takes longer than one
 */
void broker_facts_gather(struct broker_facts *facts, const struct config *config,
                         void (*wait)(void *user, uint64_t done, uint64_t total), void *user);

#endif
