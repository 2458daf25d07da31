/* test_spooler.c - the durable half of a publisher, without a publisher: what a file of warren
 * 0.1.0 holds is offered in its order, and leaves the file when it is confirmed.
 */
#include "../store/files_before.h"

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "base/clock.h"
#include "publish/delay/delay.h"
#include "publish/spool/spooler.h"
#include "store/writer/key_writer.h"

#define PATIENCE_MS 20000

struct scene {
    struct rig *rig;
    pthread_mutex_t mutex;
    struct record *offered[512];
    size_t count;
    int64_t done_below;
    struct spooler *spooler;
    unsigned damaged; /* rows that were told of */
};

static bool offer(void *user, struct record *record)
{
    struct scene *scene = user;

    pthread_mutex_lock(&scene->mutex);
    scene->offered[scene->count++] = record;
    pthread_mutex_unlock(&scene->mutex);
    return true;
}

static void pass(void *user, struct record *record)
{
    (void)user;
    record_free(record);
}

static void done(void *user, int64_t below)
{
    struct scene *scene = user;

    pthread_mutex_lock(&scene->mutex);
    scene->done_below = below;
    pthread_mutex_unlock(&scene->mutex);
}

static void tell(void *user, bool trouble, const char *text)
{
    struct scene *scene = user;

    pthread_mutex_lock(&scene->mutex);
    scene->damaged += strstr(text, "it is damaged") != NULL;
    pthread_mutex_unlock(&scene->mutex);
    if (trouble && !strstr(text, "too old") && !strstr(text, "it is damaged"))
        fail_msg("%s", text);
}

static void open_spooler_with(struct scene *scene, uint64_t max_age_ms)
{
    static const struct spooler_events events = {offer, pass, done, tell, NULL};
    const struct spooler_options options = {.path = scene->rig->path,
                                            .synchronous = DATABASE_OFF,
                                            .max_bytes = 1 << 20,
                                            .max_age_ms = max_age_ms};

    if (spooler_new(&options, &events, scene, &scene->spooler, &scene->rig->error) != WARREN_OK)
        fail_msg("%s", scene->rig->error.text);
}

static void open_spooler(struct scene *scene)
{
    open_spooler_with(scene, 0);
}

/* Until so many are offered, and all below that id have left the disk. */
static void wait_until(struct scene *scene, size_t count, int64_t done_below)
{
    int64_t until = clock_now_ms(clock_monotonic()) + PATIENCE_MS;
    bool there = false;

    while (!there) {
        struct timespec pause = {.tv_nsec = 1000000};

        pthread_mutex_lock(&scene->mutex);
        there = scene->count >= count && scene->done_below >= done_below;
        pthread_mutex_unlock(&scene->mutex);
        if (!there && clock_now_ms(clock_monotonic()) > until)
            fail_msg("%zu were offered, all below %lld are done", scene->count,
                     (long long)scene->done_below);
        if (!there)
            nanosleep(&pause, NULL);
    }
}

static void confirm_all(struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        scene->offered[i]->result = WARREN_CONFIRMED;
        spooler_ended(scene->spooler, scene->offered[i], false);
        record_free(scene->offered[i]);
    }
}

/* What is to be sent, in its order; refused ones stay. Closed and opened again, nothing is left. */
static void a_file_of_before_is_sent(void **state)
{
    static const int64_t ids[] = {1, 2, 4, 5, 7};
    struct scene scene = {.rig = *state, .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct warren_publisher_stats stats = {0};

    copy_file_before(scene.rig, "spool-0.1.db");
    open_spooler(&scene);
    wait_until(&scene, 5, 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(scene.offered[i]->spool_id, ids[i]);
    assert_string_equal(record_id(scene.offered[0]), "first");
    assert_string_equal(scene.offered[2]->delay->destination, "events");
    assert_int_equal(scene.offered[2]->delay->seconds, 90);
    assert_true(scene.offered[3]->delay->to_queue);
    confirm_all(&scene);
    wait_until(&scene, 5, 9);
    spooler_stats(scene.spooler, &stats);
    assert_int_equal(stats.spool_messages, 0);
    assert_int_equal(stats.spool_refused, 2);
    spooler_free(scene.spooler);
    scene.count = 0;
    scene.done_below = 0;
    open_spooler(&scene);
    wait_until(&scene, 0, 9);
    assert_int_equal(scene.count, 0);
    spooler_free(scene.spooler);
}

/* What is too old when the file is opened is removed, and not offered before. */
static void what_is_too_old_is_not_sent(void **state)
{
    struct scene scene = {.rig = *state, .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct warren_publisher_stats stats = {0};

    copy_file_before(scene.rig, "spool-0.1.db");
    open_spooler_with(&scene, 1000);
    wait_until(&scene, 0, 9);
    spooler_stats(scene.spooler, &stats);
    assert_int_equal(scene.count, 0);
    assert_int_equal(stats.spool_expired, 7);
    assert_int_equal(stats.spool_messages + stats.spool_refused, 0);
    spooler_free(scene.spooler);
}

static void publish(struct scene *scene, const char *id)
{
    const struct warren_message message = {.properties = {.message_id = id}};
    const struct warren_publish publish = {.routing_key = "q", .message = &message};
    struct record *record;

    assert_int_equal(record_new(&publish, NULL, RECORD_OWN, 1 << 20, &record), WARREN_OK);
    assert_int_equal(spooler_publish(scene->spooler, record, 0), WARREN_OK);
}

/* Deeper than any decoder's stack: an array in an array in the header "x". */
static struct warren_bytes nested(size_t depth)
{
    static uint8_t list[RECORD_FRAME_MAX];
    size_t len = 2 + 4 + 2 + depth * 5;

    assert_true(len <= sizeof list);
    memcpy(list, "\x20\0", 2);
    for (size_t at = 2; at < len;) {
        size_t rest = len - at - 4;

        list[at++] = (uint8_t)(rest >> 24);
        list[at++] = (uint8_t)(rest >> 16);
        list[at++] = (uint8_t)(rest >> 8);
        list[at++] = (uint8_t)rest;
        if (at == 6) {
            list[at++] = 1;
            list[at++] = 'x';
        }
        if (at < len)
            list[at++] = 'A';
    }
    return (struct warren_bytes){list, len};
}

/* So many sound ones in a new file, with the numbers from 1 on; then it is edited. */
static void make_edited(struct rig *rig, int messages, const char *sql)
{
    struct database *database = rig_open(rig);
    struct spool *spool;

    assert_int_equal(spool_join(database, &spool, &rig->error), WARREN_OK);
    for (int i = 1; i <= messages; i++) {
        struct spool_message message = {.message_id = warren_text("id"),
                                        .routing_key = warren_text("q"),
                                        .properties = i == 2 ? nested(20000) : nested(1)};

        assert_int_equal(spool_append(spool, &message, &rig->error), WARREN_OK);
    }
    rig_run(rig, database, sql);
    spool_close(spool);
    database_close(database);
}

/* Rows that make no message are told of and kept, with the reason; what is behind them is sent, and
 * so is what comes later. */
static void an_edited_row_is_kept_aside(void **state)
{
    static const char edits[] = "UPDATE spool SET delay = 536870912, delay_to = 'q' WHERE id = 3;"
                                "UPDATE spool SET delay = 1, delay_to = printf('%.*c', 5000, 'x')"
                                " WHERE id = 4;"
                                "UPDATE spool SET at = 9223372036854775807 WHERE id = 5;"
                                "UPDATE spool SET properties = x'' WHERE id = 6;"
                                "UPDATE spool SET id = -9 WHERE id = 7;"
                                "UPDATE spool SET id = 9223372036854775000 WHERE id = 8";
    struct scene scene = {.rig = *state, .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct warren_publisher_stats stats = {0};
    struct database *database;
    int64_t refused;

    make_edited(scene.rig, 9, edits);
    open_spooler_with(&scene, INT64_MAX / 2);
    wait_until(&scene, 2, 0);
    assert_int_equal(scene.offered[0]->spool_id, 1);
    assert_int_equal(scene.offered[1]->spool_id, 9);
    publish(&scene, "later");
    wait_until(&scene, 3, 0);
    confirm_all(&scene);
    spooler_free(scene.spooler);
    assert_int_equal(scene.count, 3);
    assert_int_equal(scene.damaged, 7);
    scene.count = 0;
    open_spooler_with(&scene, INT64_MAX / 2);
    spooler_stats(scene.spooler, &stats);
    assert_int_equal(stats.spool_messages, 0);
    assert_int_equal(stats.spool_refused, 7);
    spooler_free(scene.spooler);
    assert_int_equal(scene.count, 0);
    database = rig_open(scene.rig);
    assert_int_equal(database_number(database,
                                     "SELECT count(*) FROM spool WHERE refused LIKE 'it is "
                                     "damaged: %'",
                                     &refused, &scene.rig->error),
                     WARREN_OK);
    assert_int_equal(refused, 7);
    database_close(database);
}

enum { EACH = 200 };

static void *publish_many(void *arg)
{
    char id[16];

    for (int i = 0; i < EACH; i++) {
        snprintf(id, sizeof id, "m%d", i);
        publish(arg, id);
    }
    return NULL;
}

static void count(struct key_writer_work *work, enum warren_status status)
{
    assert_int_equal(status, WARREN_OK);
    sem_post((sem_t *)work->claim.result);
    work->claim.result = NULL;
}

/* Keys of a store and messages of a spool in one file are written by one writer, which outlives the
 * store: all are there, by fewer commits. */
static void a_store_shares_the_file(void **state)
{
    struct scene scene = {.rig = *state, .mutex = PTHREAD_MUTEX_INITIALIZER};
    const struct key_writer_options options = {
        .database = {.path = scene.rig->path, .synchronous = DATABASE_OFF},
        .keys = {.keys_max = 1000, .clock = clock_monotonic(), .wall_ms = clock_wall_ms},
        .renew_ms = 1000};
    struct key_writer_work works[EACH];
    struct writer_stats stats;
    struct database *database;
    struct key_writer *key_writer;
    struct writer *writer;
    pthread_t thread;
    int64_t keys;
    sem_t done;

    sem_init(&done, 0, 0);
    assert_int_equal(key_writer_new(&options, &key_writer, &scene.rig->error), WARREN_OK);
    open_spooler(&scene);
    assert_int_equal(writer_get(&options.database, &writer, &scene.rig->error), WARREN_OK);
    assert_int_equal(pthread_create(&thread, NULL, publish_many, &scene), 0);
    for (int i = 0; i < EACH; i++) {
        works[i] = (struct key_writer_work){.task = KEY_COMPLETE, .done = count};
        works[i].claim.key.bytes[0] = (uint8_t)i;
        works[i].claim.result = &done; /* of no length: an empty reply */
        key_writer_submit(key_writer, &works[i]);
    }
    pthread_join(thread, NULL);
    for (int i = 0; i < EACH; i++)
        sem_wait(&done);
    writer_stats(writer, &stats);
    assert_in_range(stats.commits, 1, 2 * EACH - 1); /* of both together */
    key_writer_free(key_writer);
    publish(&scene, "last");
    wait_until(&scene, EACH + 1, 0);
    for (size_t i = 0; i < EACH; i++)
        assert_int_equal(scene.offered[i]->spool_id, i + 1);
    confirm_all(&scene);
    wait_until(&scene, EACH + 1, EACH + 2);
    spooler_free(scene.spooler);
    writer_put(writer);
    database = rig_open(scene.rig);
    assert_int_equal(
        database_number(database, "SELECT count(*) FROM done", &keys, &scene.rig->error),
        WARREN_OK);
    assert_int_equal(keys, EACH);
    database_close(database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_of_before_is_sent, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_too_old_is_not_sent, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(an_edited_row_is_kept_aside, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_store_shares_the_file, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
