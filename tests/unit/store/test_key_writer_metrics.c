/* test_key_writer_metrics.c - the series of a store of keys: how many there are, of how many, and
 * how many were forgotten before their time.
 */
#include "store_rig.h"

#include <semaphore.h>

#include "base/clock.h"
#include "store/writer/key_writer.h"
#include "support/metric_page.h"

#define KEYS     30
#define KEYS_MAX 10

static sem_t one_done;

static void done(struct key_writer_work *work, enum warren_status status)
{
    (void)work;
    assert_int_equal(status, WARREN_OK);
    sem_post(&one_done);
}

static double value_of(const struct rig *rig, const char *name)
{
    char series[512];

    snprintf(series, sizeof series, "warren_store_%s{file=\"%s\"}", name, rig->path);
    return metric_on_page(series);
}

static void assert_value(const struct rig *rig, const char *name, double value)
{
    double is = value_of(rig, name);

    if (!(is == value))
        fail_msg("%s is %g, expected %g", name, is, value);
}

static void keys_are_seen(void **state)
{
    struct rig *rig = *state;
    const struct key_writer_options options = {
        .database = {.path = rig->path, .synchronous = DATABASE_OFF},
        .keys = {.keys_max = KEYS_MAX, .clock = clock_monotonic(), .wall_ms = clock_wall_ms},
        .renew_ms = 1000};
    struct idempotency_claim claim = {.key = {.bytes = {[7] = 0xff}}};
    struct key_writer_work works[KEYS];
    struct key_writer *key_writer;

    sem_init(&one_done, 0, 0);
    assert_int_equal(key_writer_new(&options, &key_writer, &rig->error), WARREN_OK);
    assert_value(rig, "keys", 0);
    assert_value(rig, "max_keys", KEYS_MAX);
    for (int i = 0; i < KEYS; i++) {
        works[i] = (struct key_writer_work){.task = KEY_COMPLETE, .done = done};
        works[i].claim.key.bytes[7] = (uint8_t)i;
        key_writer_submit(key_writer, &works[i]);
        if (i == KEYS_MAX / 2 - 1) {
            for (int k = 0; k <= i; k++)
                sem_wait(&one_done);
            assert_value(rig, "keys", KEYS_MAX / 2);
            assert_value(rig, "keys_forgotten_total", 0);
        }
    }
    for (int i = KEYS_MAX / 2; i < KEYS; i++)
        sem_wait(&one_done);
    assert_value(rig, "keys", KEYS_MAX);
    assert_value(rig, "keys_forgotten_total", KEYS - KEYS_MAX);
    assert_true(idempotency_try_claim(key_writer_store(key_writer), &claim));
    assert_value(rig, "claims", 1);
    assert_true(idempotency_try_release(key_writer_store(key_writer), &claim));
    assert_value(rig, "claims", 0);
    key_writer_free(key_writer);
    assert_true(isnan(value_of(rig, "keys")));
    assert_true(isnan(value_of(rig, "commits_total")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_seen, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
