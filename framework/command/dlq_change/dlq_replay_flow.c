/* dlq_replay_flow.c - how one message goes: it waits for its target, the window and the rate, is
 * published, confirmed, and acked.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command/cli/print.h"
#include "command/dlq_change/dlq_audit.h"
#include "command/dlq_change/dlq_replay_private.h"

#define ROOM_STEP_MS 2

void replay_draw(struct replay *r)
{
    char note[64];

    snprintf(note, sizeof note, "%" PRIu64 " replayed", r->tally.replayed);
    progress_update(&r->progress, r->tally.replayed + r->tally.failed,
                    r->job->dry_run ? NULL : note);
}

/* ---- how one ends ---- */

void replay_release(struct replay *r, struct replay_parcel *parcel)
{
    if (parcel->delivery && r->scan)
        dlq_scan_leave(r->scan, parcel->delivery);
    else
        delivery_free(parcel->delivery);
    list_remove(&parcel->link);
    free(parcel);
}

static void audit(const struct replay *r, const struct replay_parcel *parcel, const char *why)
{
    struct dlq_audit entry = {.action = why ? "not replayed" : "replayed",
                              .queue = r->request->queue.name,
                              .id = {parcel->id, parcel->id_len},
                              .target = parcel->target->name,
                              .replays = parcel->replays,
                              .why = why};

    if (!r->request->quiet)
        dlq_audit(&entry);
}

void replay_explain(struct replay *r, struct warren_bytes id, const char *why)
{
    char text[CLI_SAFE_ID_SIZE];

    if (r->explained)
        return;
    r->explained = true;
    progress_end(&r->progress);
    cli_safe_id(id, text);
    cli_failed(r->request->cli, "message %s stays in '%s': %s", text, r->request->queue.name, why);
}

static void fail(struct replay *r, struct replay_parcel *parcel, const char *why)
{
    r->tally.failed++;
    audit(r, parcel, why);
    replay_explain(r, (struct warren_bytes){parcel->id, parcel->id_len}, why);
    replay_release(r, parcel);
}

static void confirmed(struct replay *r, struct replay_parcel *parcel)
{
    r->tally.replayed++;
    parcel->target->messages++;
    audit(r, parcel, NULL);
    if (parcel->delivery && r->scan) {
        r->unproven++;
        dlq_scan_ack(r->scan, parcel->delivery);
        parcel->delivery = NULL;
    } else {
        r->tally.doubtful++;
    }
    replay_release(r, parcel);
}

void replay_ended(void *user, struct dlq_parcel *from_courier)
{
    struct replay_parcel *parcel = (struct replay_parcel *)from_courier;
    const char *result = warren_result_name(from_courier->result);
    struct replay *r = user;
    char why[DLQ_REPLY_SIZE + 64];

    r->flying--;
    if (from_courier->result == WARREN_CONFIRMED) {
        confirmed(r, parcel);
        return;
    }
    if (from_courier->result == WARREN_TIMEOUT)
        r->tally.doubtful++;
    snprintf(why, sizeof why, from_courier->reply_code ? "%s: %u %s" : "%s", result,
             from_courier->reply_code, from_courier->reply_text);
    fail(r, parcel, why);
}

/* ---- on the way ---- */

/* The message as it was published first, or as it was edited. */
static enum warren_status renew(struct replay *r, struct replay_parcel *parcel,
                                struct warren_message *message)
{
    struct dlq_letter letter;
    enum warren_status status;

    arena_reset(&r->arena);
    status = dlq_letter_read(parcel->delivery, r->request->queue.name, &r->arena, &letter);
    if (status != WARREN_OK)
        return status;
    parcel->replays = letter.replays + 1;
    if (r->job->replacement) {
        status = arena_note_all(&r->arena, r->job->replacement->texts);
        if (status != WARREN_OK)
            return status;
        letter.message = r->job->replacement->message;
        if (!letter.message.properties.message_id && arena_bytes(&r->arena, letter.id).len > 0)
            letter.message.properties.message_id = letter.id;
        letter.exchange = r->job->replacement->exchange;
        letter.routing_key = r->job->replacement->routing_key;
    }
    return dlq_letter_renew(&letter, &r->arena, message);
}

static const char *why_not(enum warren_status status)
{
    if (status == WARREN_ETOOBIG)
        return "its headers, and what the broker will add to them, exceed a frame";
    return warren_status_name(status);
}

/* False: there is no room for now. */
static bool send_one(struct replay *r, struct replay_parcel *parcel)
{
    struct warren_message message;
    enum warren_status status = renew(r, parcel, &message);

    if (status == WARREN_OK)
        status = dlq_courier_send(r->courier, parcel->target->name, &message, &r->arena,
                                  &parcel->courier);
    if (status == WARREN_EFULL) { /* the publisher has not yet made room of those that ended */
        loop_timer_arm_ms(&r->pause, ROOM_STEP_MS);
        return false;
    }
    if (status != WARREN_OK) {
        fail(r, parcel, why_not(status));
        return true;
    }
    list_remove(&parcel->link);
    list_push(&r->under_way, &parcel->link);
    r->flying++;
    return true;
}

static bool rate_lets_go(struct replay *r)
{
    int64_t wait_ns = r->may_go ? 0 : pacer_take(&r->pacer, replay_now_ns(r));

    if (wait_ns > 0)
        loop_timer_arm_us(&r->pause, (wait_ns + 999) / 1000);
    r->may_go = wait_ns == 0;
    return r->may_go;
}

/* One step of the first that waits; false: nothing can go now. */
static bool step(struct replay *r, struct replay_parcel *parcel)
{
    if (parcel->target->state == TARGET_ASKED || loop_timer_armed(&r->pause))
        return false;
    if (parcel->target->state == TARGET_MISSING) {
        r->tally.failed++; /* reported once, when it was found out */
        replay_release(r, parcel);
        return true;
    }
    if (r->job->dry_run) {
        r->tally.replayed++;
        parcel->target->messages++;
        replay_release(r, parcel);
        return true;
    }
    if (r->flying + r->unproven >= r->job->window || !rate_lets_go(r))
        return false;
    if (!send_one(r, parcel))
        return false;
    r->may_go = false;
    return true;
}

void replay_pump(struct replay *r)
{
    while (!list_empty(&r->waiting) &&
           step(r, list_entry(r->waiting.next, struct replay_parcel, link)))
        ;
    replay_draw(r);
}

void replay_rate_over(void *arg)
{
    struct replay *r = arg;

    r->may_go = true;
    replay_pump(r);
}

void replay_turn(void *user)
{
    struct replay *r = user;

    if (!r->scan)
        return;
    dlq_scan_flush(r->scan);
    replay_pump(r);
}

/* ---- targets ---- */

static void on_target(void *user, const struct dlq_probe_found *found)
{
    struct replay_target *target = user;
    struct replay *r = target->replay;
    /* RabbitMQ 4.3 answers only those who have a right on the queue. That is no reason: what has no
     * queue is returned. */
    bool there = found->code == 0 || found->code == DLQ_NO_RIGHT;

    target->state = there ? TARGET_THERE : TARGET_MISSING;
    if (!there) {
        r->explained = true;
        progress_end(&r->progress);
        cli_failed(r->request->cli, "queue '%s': %s: nothing for it is taken from '%s'",
                   target->name, found->text, r->request->queue.name);
    }
    replay_pump(r);
}

struct replay_target *replay_target(struct replay *r, const char *name)
{
    struct replay_target *target;

    for (size_t i = 0; i < r->target_count; i++)
        if (strcmp(r->targets[i]->name, name) == 0)
            return r->targets[i];
    target = r->target_count < REPLAY_TARGETS_MAX ? calloc(1, sizeof *target) : NULL;
    if (!target)
        return NULL;
    snprintf(target->name, sizeof target->name, "%s", name);
    target->replay = r;
    if (dlq_probe_start(&target->probe, dlq_session_connection(r->session), target->name, on_target,
                        target) != WARREN_OK) {
        free(target);
        return NULL;
    }
    r->targets[r->target_count++] = target;
    return target;
}

void replay_targets_done(struct replay *r)
{
    while (r->target_count > 0) {
        struct replay_target *target = r->targets[--r->target_count];

        dlq_probe_done(&target->probe);
        free(target);
    }
}
