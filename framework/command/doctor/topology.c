/* topology.c - what the file declares and uses, against what the broker says of it: see judge.h.
 * Source of what is deprecated: https://www.rabbitmq.com/docs/deprecated-features
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"

#define ACCESS_REFUSED      403
#define NOT_FOUND           404
#define PRECONDITION_FAILED 406

/* Two names, of which each character may need four, and the rest. */
#define COMMAND_SIZE (8 * URI_PART_MAX + 128)

/* ---- queue-types ---- */

/* Refused by 4.3; before, it still works. @from  since when it does nothing; "": it does */
static void deprecated(struct findings *findings, const struct broker_facts *facts,
                       const char *what, const char *name, const char *thing, const char *advice)
{
    bool refused = broker_facts_at_least(facts, 4, 3);

    findings_add(findings, "queue-types", refused ? FINDING_FAIL : FINDING_WARN, advice,
                 "%s '%s': %s %s", what, name, thing,
                 refused ? "is refused since RabbitMQ 4.3, unless its configuration permits it"
                         : "is deprecated, and refused from RabbitMQ 4.3 on");
}

static bool judge_queue(struct findings *findings, const struct broker_facts *facts,
                        const struct config_queue *queue)
{
    const struct warren_value *version = warren_table_get(&queue->arguments, "x-queue-version");
    size_t before = findings->count;

    if (queue->passive)
        return true;
    if (!queue->durable && !queue->exclusive)
        deprecated(findings, facts, "queue", queue->name, "a transient queue that is not exclusive",
                   "make it durable (it cannot be changed: delete it first), or exclusive");
    if (warren_table_get(&queue->arguments, "x-queue-mode"))
        deprecated(findings, facts, "queue", queue->name, "x-queue-mode",
                   "leave it out: classic queues keep little in memory by themselves");
    if (version && version->type == WARREN_I64 && version->as.integer == 1)
        deprecated(findings, facts, "queue", queue->name, "x-queue-version 1", "leave it out");
    if (strcmp(queue->type, "quorum") == 0 &&
        warren_table_get(&queue->arguments, "x-max-priority") && broker_facts_at_least(facts, 4, 3))
        findings_warn(findings, "queue-types", "leave it out",
                      "queue '%s': x-max-priority is ignored by quorum queues since RabbitMQ 4.3, "
                      "which have 32 priorities",
                      queue->name);
    return findings->count == before;
}

static bool judge_exchange(struct findings *findings, const struct config_exchange *exchange)
{
    if (strcmp(exchange->type, "x-delayed-message") != 0)
        return true;
    findings_warn(findings, "queue-types",
                  "publish with a delay of warren's, which needs no plugin",
                  "exchange '%s': its type x-delayed-message is of a plugin that is no longer "
                  "maintained",
                  exchange->name);
    return false;
}

void judge_queue_types(struct findings *findings, const struct config *config,
                       const struct broker_facts *facts)
{
    const struct config_topology *topology = &config->topology;
    bool well = true;

    for (size_t i = 0; i < topology->queue_count; i++)
        well = judge_queue(findings, facts, &topology->queues[i]) && well;
    for (size_t i = 0; i < topology->exchange_count; i++)
        well = judge_exchange(findings, &topology->exchanges[i]) && well;
    if (well)
        findings_ok(findings, "queue-types", "nothing that is declared is deprecated");
}

/* ---- dead-letter-exchange ---- */

/* Is @item the exchange @name? */
static bool is_exchange(const char *item, const char *name)
{
    size_t len = strlen(name);

    return strncmp(item, "exchange '", 10) == 0 && strncmp(item + 10, name, len) == 0 &&
           strcmp(item + 10 + len, "'") == 0;
}

static bool is_in_topology(const struct config *config, const char *item)
{
    for (size_t i = 0; i < config->topology.exchange_count; i++)
        if (is_exchange(item, config->topology.exchanges[i].name))
            return true;
    return false;
}

/* An exchange that an argument names, and the topology does not have. */
static bool is_of_argument(const struct config *config, const struct broker_note *note)
{
    return note->kind == NOTE_REFUSED && strncmp(note->item, "exchange '", 10) == 0 &&
           !is_in_topology(config, note->item);
}

void judge_dead_letter_exchange(struct findings *findings, const struct config *config,
                                const struct broker_facts *facts)
{
    size_t before = findings->count;

    for (size_t i = 0; i < facts->note_count; i++) {
        const struct broker_note *note = &facts->notes[i];

        if (!is_of_argument(config, note))
            continue;
        if (note->code == NOT_FOUND)
            findings_fail(
                findings, "dead-letter-exchange",
                "declare it in the topology, or take the argument away",
                "%s is named by an argument of the topology (x-dead-letter-exchange, "
                "alternate-exchange), and does not exist: the broker drops what is for it",
                note->item);
        else
            findings_warn(
                findings, "dead-letter-exchange", "see the permissions of the user",
                "%s is named by an argument of the topology, and cannot be looked for: %s",
                note->item, note->text);
    }
    if (findings->count == before)
        findings_ok(findings, "dead-letter-exchange", "all that the topology names exist, or will");
}

/* ---- topology, permissions ---- */

static const char *advice_for(const struct broker_note *note)
{
    switch (note->code) {
    case NOT_FOUND:
        return "declare it elsewhere first, or here without `passive`";
    case PRECONDITION_FAILED:
        return "arguments of what exists cannot change: write in the file what the broker has, or "
               "delete it there when it is empty";
    default:
        return "see the broker's log; an unknown type of exchange needs its plugin";
    }
}

void judge_topology(struct findings *findings, const struct config *config,
                    const struct broker_facts *facts)
{
    size_t before = findings->count;
    size_t missing = 0;

    for (size_t i = 0; i < facts->note_count; i++) {
        const struct broker_note *note = &facts->notes[i];

        missing += note->kind == NOTE_MISSING;
        if (note->kind != NOTE_REFUSED || note->code == ACCESS_REFUSED ||
            is_of_argument(config, note))
            continue;
        if (note->code)
            findings_fail(findings, "topology", advice_for(note), "%s: %u %s", note->item,
                          note->code, note->text);
        else
            findings_fail(findings, "topology", advice_for(note), "%s: %s", note->item, note->text);
    }
    if (findings->count == before && missing > 0)
        findings_ok(findings, "topology",
                    "what exists is as configured; %zu that do%s not exist yet will be declared",
                    missing, missing == 1 ? "es" : "");
    else if (findings->count == before)
        findings_ok(findings, "topology", "all of it exists, as it is configured");
}

/* Quoted for a shell where it has to be. @return what is behind it */
static char *add_word(char *to, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-@%+:,";
    bool quoted = !*word || word[strspn(word, plain)];

    to = stpcpy(to, quoted ? "'" : "");
    for (; *word; word++)
        if (*word == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *word;
    return stpcpy(to, quoted ? "'" : "");
}

/* What the user lacks, as an operator gives it. */
static void write_command(const struct broker_facts *facts, char text[COMMAND_SIZE])
{
    char *to = stpcpy(text, "rabbitmqctl set_permissions -p ");

    to = facts->reached ? add_word(to, facts->vhost) : stpcpy(to, "VHOST");
    *to++ = ' ';
    to = *facts->user ? add_word(to, facts->user) : stpcpy(to, "USER");
    stpcpy(to, " CONFIGURE WRITE READ (patterns of names)");
}

static void judge_right(struct findings *findings, const struct broker_note *note,
                        const char *command, size_t *granted)
{
    if (note->kind == NOTE_REFUSED && note->code == ACCESS_REFUSED)
        findings_fail(findings, "permissions", command, "%s: 403 %s", note->item, note->text);
    else if (note->kind == NOTE_RIGHT && note->answer == RIGHT_REFUSED)
        findings_fail(findings, "permissions", command, "the user may not %s, %s: %s", note->item,
                      note->why, note->text);
    else if (note->kind == NOTE_RIGHT && note->answer == RIGHT_UNKNOWN)
        findings_warn(findings, "permissions", "see the permissions of the user at the broker",
                      "whether the user may %s, %s, was not found out%s%s", note->item, note->why,
                      *note->text ? ": " : "", note->text);
    else
        *granted += note->kind == NOTE_RIGHT || note->kind == NOTE_MISSING;
}

void judge_permissions(struct findings *findings, const struct config *config,
                       const struct broker_facts *facts)
{
    size_t before = findings->count;
    size_t granted = 0;
    char command[COMMAND_SIZE];

    write_command(facts, command);
    for (size_t i = 0; i < facts->note_count; i++)
        if (!is_of_argument(config, &facts->notes[i]))
            judge_right(findings, &facts->notes[i], command, &granted);
    if (findings->count == before)
        findings_ok(findings, "permissions",
                    "the user may do all that the file needs (rights asked for: %zu)", granted);
}

/* ---- the checks ---- */

void check_queue_types(struct doctor *doctor)
{
    judge_queue_types(&doctor->findings, doctor->config, &doctor->broker);
}

void check_topology(struct doctor *doctor)
{
    judge_topology(&doctor->findings, doctor->config, &doctor->broker);
}

void check_dead_letter_exchange(struct doctor *doctor)
{
    judge_dead_letter_exchange(&doctor->findings, doctor->config, &doctor->broker);
}

void check_permissions(struct doctor *doctor)
{
    judge_permissions(&doctor->findings, doctor->config, &doctor->broker);
}
