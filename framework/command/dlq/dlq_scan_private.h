/* dlq_scan_private.h - the inside of a scan, for dlq_scan.c (its life) and dlq_scan_flow.c
 * (messages come, acks go, and the end).
 */
#ifndef WARREN_COMMAND_DLQ_SCAN_PRIVATE_H
#define WARREN_COMMAND_DLQ_SCAN_PRIVATE_H

#include "amqp/consumer/consumer.h"
#include "command/dlq/dlq_scan.h"

struct dlq_scan {
    struct dlq_session *session;
    const struct dlq_scan_options *options;
    const struct dlq_scan_events *events;
    void *user;
    struct dlq_scan_result *result;
    struct consumer *consumer;
    struct arena arena; /* of the message at hand */
    struct loop_timer silence;
    struct loop_timer hold;
    int64_t heard_ms; /* when the last message came */
    uint32_t look_max;
    uint32_t came;    /* also what was on its way when it stopped */
    uint32_t left;    /* by now */
    uint32_t kept;    /* not acked, not left */
    uint32_t acked;   /* not flushed */
    uint32_t proving; /* flushed, before the barrier under way */
    bool barrier;     /* one is under way */
    bool goes_back;   /* some of what came does */
    bool came_again;  /* the last that came had been delivered before; */
    bool sorts;       /* and the queue puts such messages in a queue of their own */
    bool stopping;
    bool hurried;
    bool paused; /* and nothing more comes */
    bool giving_back;
};

/* dlq_scan_flow.c; @user and @arg are the scan. */
extern const struct consumer_events scan_consumer_events;
extern const struct dlq_session_events scan_session_events;
void scan_silence(void *arg);
void scan_held_too_long(void *arg);

#endif
