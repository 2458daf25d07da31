/* broker.c - is the broker there, and what does it bear? See judge.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"

/* Tested with; see scripts/brokers. */
#define OLDEST_MAJOR 3
#define OLDEST_MINOR 10

#define MIB (INT64_C(1) << 20)
/* The largest message by default, before RabbitMQ 4.0 and since. Source: its release notes. */
#define MESSAGE_MAX_3 (128 * MIB)
#define MESSAGE_MAX_4 (16 * MIB)

/* Error and backtrace of a dead letter have 32 KiB each at the most, beside the message's headers.
 */
#define FRAME_ENOUGH 131072
#define FRAME_SMALL  32768

/* ---- broker ---- */

static const char *advice_for(const struct broker_facts *facts)
{
    static const struct {
        const char *part;
        const char *advice;
    } known[] = {
        {"certificate", "see broker.tls.* of the configuration, and the certificate of the broker"},
        {"TLS", "see whether the port is the one for TLS, and the address amqps://"},
        {"speaks", "see the port: 5672 is plain text, 5671 TLS"},
        {"403", "user, password, or its password_file are wrong, or the user may not log in here"},
        {"530", "make the virtual host, or give the user permissions in it: rabbitmqctl "
                "set_permissions"},
        {"refused", "is the broker running, and does it listen at that port?"},
        {"look up", "see the name, and /etc/resolv.conf"},
        {"timed out", "a firewall, a wrong address, or a broker that is overloaded"},
        {"no answer", "the broker is overloaded, or a part of its cluster is cut off"},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(facts->error, known[i].part))
            return known[i].advice;
    return "see the broker's log";
}

void judge_broker(struct findings *findings, const struct broker_facts *facts)
{
    if (facts->ended != WARREN_OK)
        findings_fail(findings, "broker", advice_for(facts), "%s", facts->error);
    else
        findings_ok(findings, "broker", "%s: logged in, %s", facts->where, facts->server);
}

/* ---- version ---- */

static void note_changes(struct findings *findings, const struct broker_facts *facts)
{
    if (!broker_facts_at_least(facts, 4, 0))
        findings_ok(
            findings, "version",
            "%s; with 4.0 quorum queues get a delivery limit of 20, and messages above 16 MiB "
            "are refused",
            facts->server);
    else if (!broker_facts_at_least(facts, 4, 3))
        findings_ok(findings, "version",
                    "%s; with 4.3 transient queues that are not exclusive, x-queue-mode and "
                    "x-queue-version 1 are refused",
                    facts->server);
    else
        findings_ok(findings, "version", "%s", facts->server);
}

void judge_version(struct findings *findings, const struct broker_facts *facts)
{
    if (facts->major == 0)
        findings_warn(findings, "version", "warren is tested with RabbitMQ 3.10, 4.0 and 4.3",
                      "%s is not RabbitMQ, or does not tell its version",
                      *facts->server ? facts->server : "the broker");
    else if (!broker_facts_at_least(facts, OLDEST_MAJOR, OLDEST_MINOR))
        findings_warn(findings, "version", "upgrade it", "%s: warren is tested with 3.10 and later",
                      facts->server);
    else
        note_changes(findings, facts);
}

/* ---- sizes and numbers ---- */

void judge_channels(struct findings *findings, const struct broker_facts *facts)
{
    char advice[160];

    snprintf(advice, sizeof advice,
             "raise channel_max of the broker to at least %" PRIu32
             ", or spread the subscriptions over several workers",
             facts->channels_needed);
    if (facts->channels_needed > 0)
        findings_fail(findings, "channels", advice,
                      "the worker needs %" PRIu32
                      " channels on one connection, and the broker allows "
                      "%" PRIu32,
                      facts->channels_needed, facts->channels_allowed);
    else
        findings_ok(findings, "channels", "%" PRIu32 " on a connection, which is enough",
                    facts->channels_allowed);
}

void judge_frame_size(struct findings *findings, const struct broker_facts *facts)
{
    static const char advice[] = "raise frame_max of the broker to its default, 131072";

    if (facts->frame_max < FRAME_SMALL)
        findings_warn(findings, "frame-size", advice,
                      "frame_max is %" PRIu32 ": the error of a dead letter is cut, and headers of "
                      "more cannot be published",
                      facts->frame_max);
    else if (facts->frame_max < FRAME_ENOUGH)
        findings_ok(findings, "frame-size",
                    "frame_max is %" PRIu32 "; errors of dead letters may be cut",
                    facts->frame_max);
    else
        findings_ok(findings, "frame-size", "frame_max is %" PRIu32, facts->frame_max);
}

void judge_message_size(struct findings *findings, const struct broker_facts *facts,
                        int64_t message_max)
{
    int64_t broker = broker_facts_at_least(facts, 4, 0) ? MESSAGE_MAX_4 : MESSAGE_MAX_3;

    if (facts->major == 0)
        findings_ok(findings, "message-size", "what the broker takes is not known");
    else if (message_max < broker)
        findings_warn(
            findings, "message-size", "raise consumer.message_max, unless that is what you want",
            "the broker takes messages of %" PRId64 " MiB, unless its max_message_size says "
            "otherwise; the worker rejects those above %" PRId64 " bytes unread",
            broker / MIB, message_max);
    else
        findings_ok(findings, "message-size",
                    "the broker takes messages of %" PRId64
                    " MiB, unless its max_message_size says "
                    "otherwise (it tells nobody)",
                    broker / MIB);
}

/* ---- the checks ---- */

static void on_wait(void *user, uint64_t done, uint64_t total)
{
    struct doctor *doctor = user;

    doctor->progress.total = total;
    progress_update(&doctor->progress, done, total > 0 ? "broker" : "connecting");
}

void check_broker(struct doctor *doctor)
{
    broker_facts_gather(&doctor->broker, doctor->config, on_wait, doctor);
    progress_end(&doctor->progress);
    judge_broker(&doctor->findings, &doctor->broker);
}

void check_version(struct doctor *doctor)
{
    judge_version(&doctor->findings, &doctor->broker);
}

void check_channels(struct doctor *doctor)
{
    judge_channels(&doctor->findings, &doctor->broker);
}

void check_frame_size(struct doctor *doctor)
{
    judge_frame_size(&doctor->findings, &doctor->broker);
}

void check_message_size(struct doctor *doctor)
{
    judge_message_size(&doctor->findings, &doctor->broker, doctor->config->consumer.message_max);
}
