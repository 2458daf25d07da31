/* test_middleware_idempotency.c - keys, what is done about those that are new, done or busy, and
 * stored replies; on a store of its own in a file.
 */
#include <errno.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include <warren/sqlite.h>

#include "base/middleware_own.h"
#include "middleware/builtin.h"
#include "middleware/stored_reply.h"
#include "policy_rig.h"
#include "store/writer/key_writer.h"
#include "support/metric_page.h"

#define PATIENCE_S 20

/* ---- the message at hand; there is one job, one thread and one passage at a time ---- */

struct warren_passage {
    sem_t answered;
    enum warren_outcome settled;
};

static struct {
    struct warren_properties properties;
    struct warren_bytes key; /* what the handler says */
    void *mark;
    job_reply_fn *on_reply;
    void *on_reply_user;
    job_transaction_fn *give_transaction;
    void *transaction_user;
    struct warren_message *reply; /* that the handler makes; NULL: none */
    unsigned replies;
    struct warren_bytes correlation; /* of the last one */
    char replied[64];
} message;

const struct warren_properties *warren_job_properties(struct warren_job *job)
{
    (void)job;
    return &message.properties;
}

const struct warren_value *warren_job_header(struct warren_job *job, const char *name)
{
    (void)job;
    return warren_table_get(&message.properties.headers, name);
}

struct warren_bytes warren_job_key(struct warren_job *job)
{
    (void)job;
    return message.key;
}

void *warren_job_mark(const struct warren_job *job, const struct warren_link *next)
{
    (void)next;
    (void)job;
    return message.mark;
}

void job_on_reply(struct warren_job *job, job_reply_fn *on_reply, void *user)
{
    (void)job;
    message.on_reply = on_reply;
    message.on_reply_user = user;
}

enum warren_status warren_job_reply(struct warren_job *job, const struct warren_message *reply)
{
    (void)job;
    if (message.on_reply)
        message.on_reply(reply, message.on_reply_user);
    message.replies++;
    message.correlation = warren_job_text(job, reply->properties.correlation_id);
    snprintf(message.replied, sizeof message.replied, "%s:%.*s",
             reply->properties.content_type ? reply->properties.content_type : "-",
             (int)reply->body.len, (const char *)reply->body.data);
    return WARREN_OK;
}

void warren_job_log(struct warren_job *job, enum warren_log_level level, const char *format, ...)
{
    (void)job;
    (void)level;
    (void)format;
}

const char *warren_job_queue(const struct warren_job *job)
{
    (void)job;
    return "bills";
}

int64_t warren_job_time_left_ms(const struct warren_job *job)
{
    (void)job;
    return INT64_MAX;
}

void job_on_transaction(struct warren_job *job, job_transaction_fn *give, job_leave_fn *leave,
                        void *user)
{
    (void)job;
    (void)leave;
    message.give_transaction = give;
    message.transaction_user = user;
}

void job_set_outbox(struct warren_job *job, struct warren_outbox *outbox)
{
    (void)job;
    (void)outbox;
}

struct sqlite3 *warren_job_sqlite(struct warren_job *job)
{
    return message.give_transaction ? message.give_transaction(job, message.transaction_user)
                                    : NULL;
}

void warren_passage_go(struct warren_passage *passage)
{
    sem_post(&passage->answered);
}

void warren_passage_settle(struct warren_passage *passage, enum warren_outcome outcome)
{
    passage->settled = outcome;
    sem_post(&passage->answered);
}

void warren_passage_retry(struct warren_passage *passage, int64_t delay_ms)
{
    (void)delay_ms;
    passage->settled = WARREN_RETRY;
    sem_post(&passage->answered);
}

/* ---- the worker in small ---- */

struct rig {
    char path[64];
    struct key_writer *key_writer;
    void *state; /* of the middleware */
    struct warren_subscription subscription;
    struct warren_subscription_info info;
    struct warren_options options;
    struct warren_handler handler;
    struct warren_passage passage;
};

static void open_store(struct rig *rig)
{
    struct key_writer_options options = {
        .database = {.path = rig->path, .synchronous = DATABASE_OFF},
        .keys = {.keys_max = 1000, .clock = clock_monotonic(), .wall_ms = clock_wall_ms},
        .renew_ms = 1000,
    };
    struct warren_error error = {WARREN_OK, ""};

    if (key_writer_new(&options, &rig->key_writer, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    memset(&message, 0, sizeof message);
    snprintf(rig->path, sizeof rig->path, "/tmp/warren-idem-%d.db", (int)getpid());
    sem_init(&rig->passage.answered, 0, 0);
    open_store(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    struct rig *rig = *state;
    char path[80];

    if (rig->state)
        middleware_idempotency.close(rig->state);
    key_writer_free(rig->key_writer);
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s", rig->path, ends[i]);
        unlink(path);
    }
    free(rig);
    return 0;
}

static enum warren_status try_to_open(struct rig *rig, const char *const *given,
                                      struct warren_error *error)
{
    rig->options = (struct warren_options){middleware_idempotency.options, given};
    rig->subscription.key_writer = rig->key_writer;
    rig->info = (struct warren_subscription_info){.queue = "bills",
                                                  .handler = "p.charge",
                                                  .concurrency = 1,
                                                  .options = &rig->options,
                                                  .definition = &rig->handler,
                                                  .subscription = &rig->subscription};
    return middleware_idempotency.open(&rig->info, &rig->state, error);
}

#define OPEN(rig, ...)                                                                             \
    assert_int_equal(try_to_open(rig, (const char *const[]){__VA_ARGS__, NULL}, NULL), WARREN_OK)

static void wait_for(sem_t *semaphore)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (sem_timedwait(semaphore, &until) != 0)
        if (errno == ETIMEDOUT)
            fail_msg("it never came");
}

static void before(struct rig *rig)
{
    message.mark = NULL;
    if (!middleware_idempotency.before(NULL, &rig->passage, rig->state, &message.mark))
        wait_for(&rig->passage.answered);
}

static void after(struct rig *rig, enum warren_outcome outcome)
{
    if (message.mark &&
        !middleware_idempotency.after(&rig->passage, outcome, message.mark, rig->state)) {
        wait_for(&rig->passage.answered);
        assert_int_equal(rig->passage.settled, outcome);
    }
}

/* As a handler that replies, where message.reply is set. */
static enum warren_outcome handle(struct warren_job *job, const struct warren_link *next,
                                  void *state)
{
    (void)next;
    (void)state;
    job->ran = true;
    if (message.reply)
        warren_job_reply(job, message.reply);
    return job->answer;
}

static enum warren_outcome call(struct rig *rig, struct warren_job *job)
{
    const struct warren_link links[] = {{middleware_idempotency.call, rig->state, 0},
                                        {handle, NULL, 0}};

    return warren_next(job, links);
}

/* One delivery from its arrival to its settlement. */
static struct warren_job deliver(struct rig *rig, enum warren_outcome answer)
{
    struct warren_job job = rig_job(answer);
    enum warren_outcome outcome;

    before(rig);
    outcome = call(rig, &job);
    after(rig, outcome);
    job.answer = outcome;
    return job;
}

/* ---- outcomes ---- */

/* What was acked or discarded is not handled again and has the same outcome. */
static void an_effect_is_remembered(void **state)
{
    static const enum warren_outcome outcomes[] = {WARREN_ACK, WARREN_DISCARD};
    static const char *const ids[] = {"one", "two"};
    struct rig *rig = *state;

    OPEN(rig, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct warren_job job;

        message.properties.message_id = ids[i];
        job = deliver(rig, outcomes[i]);
        assert_true(job.ran);
        assert_false(job.duplicate);
        assert_int_equal(job.answer, outcomes[i]);
        job = deliver(rig, WARREN_REJECT);
        assert_false(job.ran);
        assert_true(job.duplicate);
        assert_int_equal(job.answer, outcomes[i]);
    }
}

/* An id, as a header's value, is a key to its end: what follows a NUL makes another message of it.
 */
static void a_key_goes_beyond_a_nul(void **state)
{
    static const struct warren_bytes ids[] = {
        {"dup\0A", 5}, {"dup\0B", 5}, {"dup\0", 4}, {"dup", 3}};
    struct rig *rig = *state;

    OPEN(rig, NULL);
    for (size_t i = 0; i < 4; i++) {
        message.properties.message_id = arena_text(&rig_texts, ids[i].data, ids[i].len);
        assert_true(deliver(rig, WARREN_ACK).ran);
        message.properties.message_id = arena_text(&rig_texts, ids[i].data, ids[i].len);
        assert_true(deliver(rig, WARREN_ACK).duplicate);
    }
    arena_done(&rig_texts);
}

/* A reply that is kept, and its address, have their texts to their ends. */
static void a_kept_reply_is_whole(void **state)
{
    struct warren_message reply = {.body = warren_text("done")};
    struct rig *rig = *state;

    OPEN(rig, NULL);
    message.properties.message_id = "one";
    message.properties.reply_to = arena_text(&rig_texts, "\0answers", 8);
    reply.properties.correlation_id = arena_text(&rig_texts, "c\0d", 3);
    message.reply = &reply;
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_int_equal(message.correlation.len, 3);
    message.correlation.len = 0;
    assert_true(deliver(rig, WARREN_ACK).duplicate);
    assert_int_equal(message.replies, 2);
    assert_int_equal(message.correlation.len, 3);
    assert_memory_equal(message.correlation.data, "c\0d", 3);
    arena_done(&rig_texts);
}

/* What had no effect is handled again. */
static void no_effect_is_not_remembered(void **state)
{
    static const enum warren_outcome outcomes[] = {WARREN_RETRY, WARREN_REJECT, WARREN_REQUEUE};
    struct rig *rig = *state;

    OPEN(rig, NULL);
    message.properties.message_id = "one";
    for (size_t i = 0; i < 3; i++)
        assert_true(deliver(rig, outcomes[i]).ran);
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_false(deliver(rig, WARREN_ACK).ran);
}

/* Meanwhile a duplicate waits, without an attempt being spent. */
static void a_duplicate_waits(void **state)
{
    static const char waits[] =
        "warren_idempotency_waits_total{queue=\"bills\",handler=\"p.charge\"}";
    struct rig *rig = *state;
    struct warren_job job;
    void *first;

    OPEN(rig, NULL);
    message.properties.message_id = "one";
    before(rig);
    first = message.mark;
    job = deliver(rig, WARREN_ACK);
    assert_false(job.ran);
    assert_int_equal(job.answer, WARREN_RETRY);
    assert_true(job.forgiven);
    assert_true(job.retry_delay_ms > 0);
    assert_true(metric_on_page(waits) == 1);
    message.mark = first;
    after(rig, WARREN_ACK);
    assert_int_equal(deliver(rig, WARREN_REJECT).answer, WARREN_ACK);
}

/* A message that no worker took is as new when it comes again. */
static void a_dropped_message_is_as_new(void **state)
{
    struct rig *rig = *state;

    OPEN(rig, NULL);
    message.properties.message_id = "one";
    before(rig);
    middleware_idempotency.after(NULL, WARREN_REQUEUE, message.mark, rig->state);
    assert_true(deliver(rig, WARREN_ACK).ran);
}

/* ---- keys ---- */

static void put_header(struct warren_field *field, const char *name, struct warren_value value)
{
    *field = (struct warren_field){.name = name, .value = value};
    message.properties.headers = (struct warren_table){.fields = field, .count = 1};
}

/* Text and number in a header are keys; the number 1 is not the text "1". */
static void a_header_is_a_key(void **state)
{
    struct rig *rig = *state;
    struct warren_field field;
    struct warren_value text = {.type = WARREN_STRING, .as.bytes = {"1", 1}};
    struct warren_value number = {.type = WARREN_I32, .as.integer = 1};
    struct warren_value same = {.type = WARREN_I64, .as.integer = 1};

    OPEN(rig, "key", "header  idempotency-key");
    put_header(&field, "idempotency-key", text);
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_false(deliver(rig, WARREN_ACK).ran);
    put_header(&field, "idempotency-key", number);
    assert_true(deliver(rig, WARREN_ACK).ran);
    put_header(&field, "idempotency-key", same);
    assert_false(deliver(rig, WARREN_ACK).ran);
}

static struct warren_bytes no_key(struct warren_job *job, void *state)
{
    struct warren_bytes none = {NULL, 0};

    (void)job;
    (void)state;
    return none;
}

/* The handler's own key. */
static void a_handler_has_a_key(void **state)
{
    struct rig *rig = *state;

    rig->handler.key = no_key;
    OPEN(rig, "key", "handler");
    message.key = (struct warren_bytes){"\0binary", 7};
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_false(deliver(rig, WARREN_ACK).ran);
    message.key = (struct warren_bytes){"\0binarz", 7};
    assert_true(deliver(rig, WARREN_ACK).ran);
}

/* Without a key: handled each time, or rejected, as the option says. */
static void a_message_without_key(void **state)
{
    struct rig *rig = *state;
    struct warren_job job;

    OPEN(rig, NULL);
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_true(deliver(rig, WARREN_ACK).ran);
    middleware_idempotency.close(rig->state);
    OPEN(rig, "on_missing_key", "reject");
    message.properties.message_id = "";
    job = deliver(rig, WARREN_ACK);
    assert_false(job.ran);
    assert_int_equal(job.answer, WARREN_REJECT);
    assert_non_null(strstr(job.error, "no message id"));
}

/* A key longer than 1024 bytes is rejected; one of 1024 is fine. */
static void a_key_that_is_too_long(void **state)
{
    struct rig *rig = *state;
    struct warren_job job;
    char text[1026];

    memset(text, 'k', sizeof text);
    text[1025] = '\0';
    OPEN(rig, NULL);
    message.properties.message_id = text;
    job = deliver(rig, WARREN_ACK);
    assert_false(job.ran);
    assert_int_equal(job.answer, WARREN_REJECT);
    assert_non_null(strstr(job.error, "1025 bytes"));
    text[1024] = '\0';
    assert_true(deliver(rig, WARREN_ACK).ran);
}

/* Queues have keys of their own, unless they share a scope. */
static void scopes(void **state)
{
    struct rig *rig = *state;

    message.properties.message_id = "one";
    OPEN(rig, NULL);
    assert_true(deliver(rig, WARREN_ACK).ran);
    middleware_idempotency.close(rig->state);
    OPEN(rig, "scope", "all");
    assert_true(deliver(rig, WARREN_ACK).ran);
    middleware_idempotency.close(rig->state);
    OPEN(rig, "scope", "bills"); /* the same as that of the queue's name */
    assert_false(deliver(rig, WARREN_ACK).ran);
}

static void bad_options(void **state)
{
    struct rig *rig = *state;
    struct warren_error error = {WARREN_OK, ""};
    const char *body[] = {"key", "body", NULL};
    const char *header[] = {"key", "header ", NULL};
    const char *handler[] = {"key", "handler", NULL};
    char name[7 + 256 + 1] = "header ";
    const char *long_header[] = {"key", name, NULL};

    assert_int_equal(try_to_open(rig, body, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "none of message_id"));
    assert_int_equal(try_to_open(rig, header, &error), WARREN_ECONFIG);
    memset(name + 7, 'n', sizeof name - 8);
    assert_int_equal(try_to_open(rig, long_header, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "at most 255 bytes, and this one 256"));
    assert_int_equal(try_to_open(rig, handler, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "p.charge has no key function"));
    assert_null(rig->state);
}

/* Where there is no store, as in a trial of one message, every message is handled. */
static void without_a_store_all_are_handled(void **state)
{
    struct rig *rig = *state;
    struct key_writer *key_writer = rig->key_writer;

    rig->key_writer = NULL;
    OPEN(rig, NULL);
    message.properties.message_id = "one";
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_true(deliver(rig, WARREN_ACK).ran);
    rig->key_writer = key_writer;
}

/* ---- replies ---- */

/* A duplicate that asks gets the reply of then, with its properties; one that does not ask gets
 * none. */
static void the_reply_is_kept(void **state)
{
    struct rig *rig = *state;
    struct warren_message reply = {.properties = {.content_type = "text/plain"},
                                   .body = {"four", 4}};

    OPEN(rig, NULL);
    message.properties.message_id = "one";
    message.properties.reply_to = "answers";
    message.reply = &reply;
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_int_equal(message.replies, 1);
    message.reply = NULL;
    memset(message.replied, 0, sizeof message.replied);
    assert_false(deliver(rig, WARREN_ACK).ran);
    assert_int_equal(message.replies, 2);
    assert_string_equal(message.replied, "text/plain:four");
    message.properties.reply_to = NULL;
    assert_false(deliver(rig, WARREN_ACK).ran);
    assert_int_equal(message.replies, 2);
}

/* One that is too long to be kept is counted, and its message is done all the same. */
static void a_long_reply_is_counted(void **state)
{
    static const char series[] =
        "warren_idempotency_replies_not_kept_total{queue=\"bills\",handler=\"p.charge\"}";
    struct warren_message reply = {
        .body = {calloc(1, IDEMPOTENCY_RESULT_MAX + 1), IDEMPOTENCY_RESULT_MAX + 1}};
    struct rig *rig = *state;

    OPEN(rig, NULL);
    message.properties.message_id = "one";
    message.properties.reply_to = "me";
    message.reply = &reply;
    assert_true(metric_on_page(series) == 0);
    assert_true(deliver(rig, WARREN_ACK).ran);
    assert_true(metric_on_page(series) == 1);
    assert_false(deliver(rig, WARREN_ACK).ran);
    message.reply = NULL;
    free((void *)(uintptr_t)reply.body.data);
}

/* A reply above the bound is not kept, and bytes that are no reply are refused. */
static void what_is_no_reply(void **state)
{
    struct warren_message reply = {.body = {"0123456789", 10}};
    struct warren_job job = {.attempt = 1};
    struct warren_bytes bytes;
    void *data = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(stored_reply_write(&job, &reply, 12, &data, &len), WARREN_ETOOBIG);
    assert_null(data);
    assert_int_equal(stored_reply_write(&job, &reply, 64, &data, &len), WARREN_OK);
    for (size_t cut = 0; cut < 6; cut++) {
        bytes = (struct warren_bytes){data, cut};
        assert_int_not_equal(stored_reply_send(bytes, NULL), WARREN_OK);
    }
    bytes = (struct warren_bytes){data, len};
    assert_int_equal(stored_reply_send(bytes, NULL), WARREN_OK);
    free(data);
}

static void edit(struct rig *rig, const char *sql)
{
    const struct database_options options = {.path = rig->path, .synchronous = DATABASE_OFF};
    struct warren_error error = {WARREN_OK, ""};
    struct database *database = NULL;

    if (database_open(&options, &database, &error) != WARREN_OK ||
        database_run(database, sql, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    database_close(database);
}

/* Arrays in arrays, of no end; as a header of the kept reply they are not decoded. */
static void nest(struct rig *rig, int depth)
{
    size_t list = 2 + 4 + 2 + (size_t)depth * 5;
    size_t size = sizeof "UPDATE done SET result = x''" + 2 * (4 + list);
    char *sql = malloc(size);
    char *at = sql;

    assert_non_null(sql);
    at += sprintf(at, "UPDATE done SET result = x'%02x%02x%02x002000%08x0178", (unsigned)list & 255,
                  (unsigned)list >> 8 & 255, (unsigned)list >> 16, (unsigned)list - 6);
    for (size_t rest = list - 8; rest > 0; rest -= 5)
        at += sprintf(at, "41%08x", (unsigned)rest - 5);
    strcpy(at, "'");
    edit(rig, sql);
    free(sql);
}

/* The duplicate of a message whose reply is damaged in the store is acked, and gets none. */
static void a_damaged_reply_is_not_sent(void **state)
{
    struct rig *rig = *state;
    struct warren_message reply = {.body = {"four", 4}};

    OPEN(rig, NULL);
    message.properties.message_id = "one";
    message.properties.reply_to = "answers";
    message.reply = &reply;
    assert_true(deliver(rig, WARREN_ACK).ran);
    message.reply = NULL;
    edit(rig, "UPDATE done SET result = x'0300000000'");
    assert_int_equal(deliver(rig, WARREN_REJECT).answer, WARREN_ACK);
    edit(rig, "UPDATE done SET result = x'020000000001'");
    assert_int_equal(deliver(rig, WARREN_REJECT).answer, WARREN_ACK);
    nest(rig, 50000);
    assert_int_equal(deliver(rig, WARREN_REJECT).answer, WARREN_ACK);
    edit(rig, "UPDATE done SET result = zeroblob(1000000)");
    assert_int_equal(deliver(rig, WARREN_REJECT).answer, WARREN_ACK);
    edit(rig, "UPDATE done SET result = NULL, outcome = 200");
    assert_int_equal(deliver(rig, WARREN_REJECT).answer, WARREN_ACK);
    assert_int_equal(message.replies, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_effect_is_remembered),
        TEST(a_key_goes_beyond_a_nul),
        TEST(a_kept_reply_is_whole),
        TEST(no_effect_is_not_remembered),
        TEST(a_duplicate_waits),
        TEST(a_dropped_message_is_as_new),
        TEST(a_header_is_a_key),
        TEST(a_handler_has_a_key),
        TEST(a_message_without_key),
        TEST(a_key_that_is_too_long),
        TEST(scopes),
        TEST(bad_options),
        TEST(without_a_store_all_are_handled),
        TEST(the_reply_is_kept),
        TEST(a_long_reply_is_counted),
        TEST(what_is_no_reply),
        TEST(a_damaged_reply_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
