#include "support/ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "support/test.h"
#include "support/wait.h"

#define THREADS_MAX 16
#define PACE_MAX_US 50000
#define ID_SIZE     sizeof(((struct ledger_entry *)NULL)->id)

struct line {
    struct ledger *ledger;
    struct ledger_entry entry; /* the receipt's half is written on the publisher's thread */
};

struct ledger {
    pthread_mutex_t lock; /* guards the lines' entries and the plan */
    struct ledger_plan plan;
    struct line *lines;
    unsigned capacity;
    unsigned attempts;
    unsigned highest; /* number that was drained so far, plus 1 */
    unsigned strangers;
    unsigned disordered;
    atomic_uint refused;
    atomic_uint ended;
    atomic_uint confirmed;
    int64_t last_receipt_ms;
    int64_t longest_stall_ms;
    int64_t longest_call_ms;
    struct warren_publisher *publisher;
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    atomic_bool stop;
};

struct ledger *ledger_new(unsigned capacity, const struct ledger_plan *plan)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);

    if (!ledger)
        abort();
    ledger->lines = calloc(capacity, sizeof *ledger->lines);
    if (!ledger->lines)
        abort();
    for (unsigned i = 0; i < capacity; i++)
        ledger->lines[i].ledger = ledger;
    pthread_mutex_init(&ledger->lock, NULL);
    ledger->capacity = capacity;
    ledger->plan = *plan;
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    pthread_mutex_destroy(&ledger->lock);
    free(ledger->lines);
    free(ledger);
}

/* ---- publishing ---- */

static void on_receipt(const struct warren_receipt *receipt, void *user)
{
    struct line *line = user;
    struct ledger *ledger = line->ledger;
    int64_t now = now_ms();

    pthread_mutex_lock(&ledger->lock);
    line->entry.receipts++;
    line->entry.order = atomic_load(&ledger->ended) + 1;
    line->entry.result = receipt->result;
    line->entry.sends = receipt->sends;
    line->entry.reply_code = receipt->reply_code;
    snprintf(line->entry.reply_text, sizeof line->entry.reply_text, "%s", receipt->reply_text);
    snprintf(line->entry.id, ID_SIZE, "%s", receipt->message_id);
    if (ledger->last_receipt_ms && now - ledger->last_receipt_ms > ledger->longest_stall_ms)
        ledger->longest_stall_ms = now - ledger->last_receipt_ms;
    ledger->last_receipt_ms = now;
    pthread_mutex_unlock(&ledger->lock);
    if (receipt->result == WARREN_CONFIRMED)
        atomic_fetch_add(&ledger->confirmed, 1);
    atomic_fetch_add(&ledger->ended, 1);
}

static char *make_body(const struct ledger_plan *plan, unsigned number, size_t *length)
{
    size_t size = number == 0 && plan->first_size ? plan->first_size : plan->body_size;
    char digits[16];
    size_t have = (size_t)snprintf(digits, sizeof digits, "%u", number);
    char *body;

    *length = size > have ? size : have;
    body = malloc(*length);
    if (!body)
        abort();
    memcpy(body, digits, have);
    for (size_t i = have; i < *length; i++)
        body[i] = (char)('a' + (number + i) % 26);
    return body;
}

static enum warren_status publish(struct ledger *ledger, const struct ledger_plan *plan,
                                  unsigned number, struct warren_publisher *publisher)
{
    struct line *line = &ledger->lines[number];
    struct warren_message message = {.body = {NULL, 0}};
    struct warren_publish request = {.exchange = plan->exchange,
                                     .routing_key = plan->routing_key,
                                     .message = &message,
                                     .optional = plan->optional,
                                     .timeout_ms = plan->timeout_ms};
    char *body = make_body(plan, number, &message.body.len);
    char id[ID_SIZE];
    enum warren_status status;

    message.body.data = body;
    if (plan->id_prefix) {
        snprintf(id, sizeof id, "%s-%u", plan->id_prefix, number);
        message.properties.message_id = id;
    }
    status = warren_publisher_publish(publisher, &request, on_receipt, line, NULL);
    free(body);
    return status;
}

enum warren_status ledger_publish(struct ledger *ledger, struct warren_publisher *publisher)
{
    struct ledger_plan plan;
    enum warren_status status;
    unsigned number;
    int64_t took;

    pthread_mutex_lock(&ledger->lock);
    number = ledger->attempts;
    plan = ledger->plan;
    if (number < ledger->capacity)
        ledger->attempts++;
    pthread_mutex_unlock(&ledger->lock);
    if (number == ledger->capacity)
        return WARREN_ENOTFOUND;

    took = now_ms();
    status = publish(ledger, &plan, number, publisher);
    took = now_ms() - took;

    pthread_mutex_lock(&ledger->lock);
    ledger->lines[number].entry.accepted = status == WARREN_OK;
    if (took > ledger->longest_call_ms)
        ledger->longest_call_ms = took;
    pthread_mutex_unlock(&ledger->lock);
    if (status != WARREN_OK)
        atomic_fetch_add(&ledger->refused, 1);
    return status;
}

void ledger_publish_many(struct ledger *ledger, struct warren_publisher *publisher, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(ledger_publish(ledger, publisher), WARREN_OK);
}

void ledger_aim(struct ledger *ledger, const char *exchange, const char *routing_key)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->plan.exchange = exchange;
    ledger->plan.routing_key = routing_key;
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_time_limit(struct ledger *ledger, uint32_t timeout_ms)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->plan.timeout_ms = timeout_ms;
    pthread_mutex_unlock(&ledger->lock);
}

/* The fuller the ledger, the longer: a test under load has room for as long as it takes. */
static unsigned pace_us(const struct ledger *ledger, unsigned attempts)
{
    unsigned room = ledger->capacity > attempts ? ledger->capacity - attempts : 1;
    uint64_t pace = (uint64_t)ledger->plan.pace_us * ledger->capacity / room;

    return pace < PACE_MAX_US ? (unsigned)pace : PACE_MAX_US;
}

static void *publish_on(void *user)
{
    struct ledger *ledger = user;
    enum warren_status status = WARREN_OK;

    while (!atomic_load(&ledger->stop) && status != WARREN_ENOTFOUND) {
        status = ledger_publish(ledger, ledger->publisher);
        if (ledger->plan.pace_us)
            usleep(pace_us(ledger, ledger_attempts(ledger)));
    }
    return NULL;
}

void ledger_start(struct ledger *ledger, struct warren_publisher *publisher, unsigned threads)
{
    ledger->publisher = publisher;
    atomic_store(&ledger->stop, false);
    for (ledger->thread_count = 0; ledger->thread_count < threads; ledger->thread_count++)
        if (pthread_create(&ledger->threads[ledger->thread_count], NULL, publish_on, ledger) != 0)
            abort();
}

void ledger_stop(struct ledger *ledger, bool at_once)
{
    if (at_once)
        atomic_store(&ledger->stop, true);
    while (ledger->thread_count > 0)
        pthread_join(ledger->threads[--ledger->thread_count], NULL);
}

unsigned ledger_attempts(struct ledger *ledger)
{
    unsigned attempts;

    pthread_mutex_lock(&ledger->lock);
    attempts = ledger->attempts;
    pthread_mutex_unlock(&ledger->lock);
    return attempts;
}

unsigned ledger_refused(struct ledger *ledger)
{
    return atomic_load(&ledger->refused);
}

unsigned ledger_ended(struct ledger *ledger)
{
    return atomic_load(&ledger->ended);
}

unsigned ledger_confirmed(struct ledger *ledger)
{
    return atomic_load(&ledger->confirmed);
}

const struct ledger_entry *ledger_entry(struct ledger *ledger, unsigned number)
{
    return &ledger->lines[number].entry;
}

/* ---- what is in the queue ---- */

static void book(const struct peer_message *message, void *user)
{
    struct ledger *ledger = user;
    unsigned number = (unsigned)strtoul(message->body, NULL, 10);
    struct ledger_entry *entry;
    size_t length;
    char *body;

    if (number >= ledger->attempts) {
        ledger->strangers++;
        return;
    }
    entry = &ledger->lines[number].entry;
    body = make_body(&ledger->plan, number, &length);
    if (length != message->length || memcmp(body, message->body, length) != 0 ||
        (entry->receipts > 0 && strcmp(entry->id, message->message_id) != 0))
        ledger->strangers++;
    free(body);
    if (entry->queued++ == 0) {
        ledger->disordered += number + 1 < ledger->highest;
        ledger->highest = number + 1 > ledger->highest ? number + 1 : ledger->highest;
    }
}

void ledger_drain(struct ledger *ledger, struct peer *peer, const char *queue)
{
    ledger->highest = 0;
    peer_drain(peer, queue, book, ledger);
}

static bool may_be_stored(const struct ledger_entry *entry)
{
    return entry->accepted && entry->result != WARREN_RETURNED && entry->result != WARREN_EXPIRED;
}

struct ledger_totals ledger_totals(const struct ledger *ledger)
{
    struct ledger_totals totals = {.attempts = ledger->attempts,
                                   .unexpected = ledger->strangers,
                                   .disordered = ledger->disordered,
                                   .longest_call_ms = ledger->longest_call_ms,
                                   .longest_stall_ms = ledger->longest_stall_ms};

    for (unsigned i = 0; i < ledger->attempts; i++) {
        const struct ledger_entry *entry = &ledger->lines[i].entry;
        bool confirmed = entry->receipts > 0 && entry->result == WARREN_CONFIRMED;

        totals.accepted += entry->accepted;
        if (entry->receipts > 0)
            totals.results[entry->result]++;
        totals.unended += entry->accepted && entry->receipts == 0;
        totals.repeated += entry->receipts > (entry->accepted ? 1u : 0u);
        totals.queued += entry->queued > 0;
        totals.duplicates += entry->queued > 1 ? entry->queued - 1 : 0;
        totals.lost += confirmed && entry->queued == 0;
        totals.unexpected += entry->queued > 0 && !may_be_stored(entry);
        totals.recovered += confirmed && entry->sends > 1;
    }
    return totals;
}

void ledger_report(const struct ledger *ledger, const struct broker *broker, const char *what,
                   const char *faults)
{
    struct ledger_totals t = ledger_totals(ledger);
    char *version = broker_eval(broker, "rabbit_misc:version()."); /* with quotes */

    printf("broker %.*s, %s: attempts %u; acknowledged %u; ok %u; lost %u; unexpected %u; "
           "duplicate deliveries %u; recovered %u; refused %u; nacked %u; returned %u; "
           "timeout %u; expired %u; faults: %s; longest call %.1f s; longest stall %.1f s\n",
           (int)strlen(version) - 2, version + 1, what, t.attempts, t.results[WARREN_CONFIRMED],
           t.queued, t.lost, t.unexpected, t.duplicates, t.recovered, t.attempts - t.accepted,
           t.results[WARREN_NACKED], t.results[WARREN_RETURNED], t.results[WARREN_TIMEOUT],
           t.results[WARREN_EXPIRED], faults, (double)t.longest_call_ms / 1000,
           (double)t.longest_stall_ms / 1000);
    free(version);
}

void ledger_check_receipts(const struct ledger *ledger)
{
    struct ledger_totals totals = ledger_totals(ledger);

    assert_int_equal(totals.unended, 0);
    assert_int_equal(totals.repeated, 0);
}

void ledger_check(const struct ledger *ledger)
{
    struct ledger_totals totals = ledger_totals(ledger);

    ledger_check_receipts(ledger);
    assert_int_equal(totals.lost, 0);
    assert_int_equal(totals.unexpected, 0);
}

struct warren_publisher *publisher_open(const char *uri,
                                        const struct warren_publisher_options *options)
{
    struct warren_publisher_options own;
    struct warren_publisher *publisher = NULL;
    struct warren_error error = {WARREN_OK, ""};

    warren_publisher_options_init(&own);
    if (options)
        own = *options;
    own.uris = &uri;
    own.uri_count = 1;
    own.reconnect_delay_min_ms = 10;
    own.reconnect_delay_max_ms = 200;
    if (warren_publisher_new(&own, &publisher, &error) != WARREN_OK)
        fail_msg("no publisher: %s", error.text);
    return publisher;
}
