/* test_idempotency_model.c - any interleaving of claim, complete, release, renewal, purge, ends of
 * leases, steps of the clock, deaths and failures of the disk, by one process or several, against a
 * model in memory. WARREN_TEST_SEED repeats a run.
 */
#include "idempotency_rig.h"

#include "base/random.h"
#include "fault_vfs.h"
#include "support/fake_clock.h"

enum { KEYS = 24, PROCESSES = 3, DONE_MAX = 4096, STEPS = 6000 };

/* What a key's history is, as it should be. */
struct model_key {
    int owner; /* index of the process; -1: nobody has claimed it */
    int64_t until_ms;
    bool held[PROCESSES]; /* the process believes that it is at it */
    struct {
        int64_t at;
        uint8_t outcome;
        bool perhaps_gone; /* it was too old when something was purged; the clock stepped back */
    } done[64];            /* the newest ones */
    int done_count;
};

struct world {
    struct rig *rig;
    struct random random;
    int processes;
    struct process *stores[PROCESSES];
    struct model_key keys[KEYS];
    unsigned claims[3]; /* by state: a run in which one never comes up proves little */
    unsigned failures;
    unsigned deaths;
};

static void key_text(int key, char text[16])
{
    snprintf(text, 16, "key %d", key);
}

static bool is_fresh(const struct model_key *key, int i)
{
    return rig_wall_ms - key->done[i].at < RETENTION_MS;
}

static bool is_done(const struct model_key *key, bool perhaps)
{
    for (int i = 0; i < key->done_count; i++)
        if (is_fresh(key, i) && key->done[i].perhaps_gone == perhaps)
            return true;
    return false;
}

static void note_purge(struct world *world)
{
    for (int i = 0; i < KEYS; i++)
        for (int k = 0; k < world->keys[i].done_count; k++)
            world->keys[i].done[k].perhaps_gone |= !is_fresh(&world->keys[i], k);
}

static enum claim_state expected(const struct world *world, int process,
                                 const struct model_key *key)
{
    int64_t now_ms = clock_now_ms(&rig_clock.clock);

    if (key->held[process])
        return CLAIM_BUSY;
    if (is_done(key, false))
        return CLAIM_DONE;
    if (world->processes > 1 && key->owner >= 0 && key->owner != process && key->until_ms > now_ms)
        return CLAIM_BUSY;
    return CLAIM_NEW;
}

static void check_outcome(const struct model_key *key, uint8_t outcome)
{
    for (int i = 0; i < key->done_count; i++)
        if (is_fresh(key, i) && key->done[i].outcome == outcome)
            return;
    fail_msg("outcome %u was never stored, or too long ago", outcome);
}

static void claim(struct world *world, int process, int number)
{
    struct model_key *key = &world->keys[number];
    enum claim_state state = expected(world, process, key);
    struct idempotency_claim claim;
    char text[16];

    key_text(number, text);
    if (rig_claim(world->rig, world->stores[process], text, &claim) != WARREN_OK) {
        world->failures++;
        return;
    }
    if (claim.state == CLAIM_DONE && !key->held[process] && is_done(key, true))
        state = CLAIM_DONE;
    if (claim.state != state)
        fail_msg("%s, process %d: %d in place of %d", text, process, claim.state, state);
    world->claims[state]++;
    if (state == CLAIM_DONE)
        check_outcome(key, claim.outcome);
    free(claim.result);
    if (state != CLAIM_NEW)
        return;
    key->owner = process;
    key->until_ms = clock_now_ms(&rig_clock.clock) + LEASE_MS;
    key->held[process] = true;
}

static void add_done(struct model_key *key, uint8_t outcome)
{
    if (key->done_count == 64) {
        memmove(key->done, key->done + 1, 63 * sizeof *key->done);
        key->done_count--;
    }
    key->done[key->done_count].at = rig_wall_ms;
    key->done[key->done_count].perhaps_gone = false;
    key->done[key->done_count++].outcome = outcome;
}

/* Only who believes that it is at a key completes or releases it. */
static void complete(struct world *world, int process, int number)
{
    struct model_key *key = &world->keys[number];
    uint8_t outcome = (uint8_t)random_upto(&world->random, 250);
    bool overtaken;
    char text[16];

    if (!key->held[process])
        return;
    note_purge(world);
    key_text(number, text);
    if (rig_complete(world->rig, world->stores[process], text, outcome, text, &overtaken) !=
        WARREN_OK) {
        world->failures++;
        return;
    }
    /* Overtaken: whether it was told depends on how much of the past is still on disk. */
    if (world->processes == 1 || key->owner == process)
        assert_false(overtaken);
    if (!overtaken)
        add_done(key, outcome);
    else
        assert_true(key->done_count > 0);
    if (key->owner == process)
        key->owner = -1;
    key->held[process] = false;
}

static void release(struct world *world, int process, int number)
{
    struct model_key *key = &world->keys[number];
    char text[16];

    if (!key->held[process])
        return;
    key_text(number, text);
    if (rig_release(world->rig, world->stores[process], text) != WARREN_OK) {
        world->failures++;
        return;
    }
    if (key->owner == process)
        key->owner = -1;
    key->held[process] = false;
}

static void renew(struct world *world, int process)
{
    if (rig_renew(world->rig, world->stores[process]) != WARREN_OK) {
        world->failures++;
        return;
    }
    for (int i = 0; i < KEYS; i++)
        if (world->keys[i].owner == process)
            world->keys[i].until_ms = clock_now_ms(&rig_clock.clock) + LEASE_MS;
}

/* It dies and another takes its place: what it had claimed is free. */
static void die(struct world *world, int process)
{
    rig_end(world->stores[process]);
    world->stores[process] = rig_store(world->rig, world->processes > 1);
    for (int i = 0; i < KEYS; i++) {
        world->keys[i].held[process] = false;
        if (world->keys[i].owner == process)
            world->keys[i].owner = -1;
    }
    world->deaths++;
}

static void step_clocks(struct world *world)
{
    clock_fake_advance_ms(&rig_clock, (int64_t)random_upto(&world->random, LEASE_MS));
    rig_wall_ms += (int64_t)random_upto(&world->random, RETENTION_MS / 2);
    if (random_upto(&world->random, 4) == 0) /* the clock is put back */
        rig_wall_ms -= (int64_t)random_upto(&world->random, RETENTION_MS);
}

static void purge(struct world *world, int process)
{
    bool more;

    note_purge(world);
    if (rig_purge(world->rig, world->stores[process], &more) != WARREN_OK)
        world->failures++;
}

static void step(struct world *world)
{
    int process = (int)random_upto(&world->random, (uint64_t)world->processes - 1);
    int key = (int)random_upto(&world->random, KEYS - 1);
    uint64_t dice = random_upto(&world->random, 99);

    fault.code = random_upto(&world->random, 1) ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    fault.after = random_upto(&world->random, 5) == 0 ? (int)random_upto(&world->random, 4) : -1;
    if (dice < 50)
        claim(world, process, key);
    else if (dice < 75)
        complete(world, process, key);
    else if (dice < 85)
        release(world, process, key);
    else if (dice < 90)
        step_clocks(world);
    else if (dice < 94)
        renew(world, process);
    else if (dice < 98)
        purge(world, process);
    fault.after = -1;
    if (dice >= 98)
        die(world, process);
}

static uint64_t seed(void)
{
    const char *text = getenv("WARREN_TEST_SEED");

    return text ? strtoull(text, NULL, 10) : random_seed() % 1000000;
}

static void run(struct rig *rig, int processes)
{
    struct world world = {.rig = rig, .processes = processes};
    uint64_t number = seed();

    print_message("seed %llu\n", (unsigned long long)number);
    random_init(&world.random, number);
    for (int i = 0; i < KEYS; i++)
        world.keys[i].owner = -1;
    for (int i = 0; i < processes; i++)
        world.stores[i] = rig_store(rig, processes > 1);
    for (int i = 0; i < STEPS; i++)
        step(&world);
    for (int i = 0; i < processes; i++)
        rig_end(world.stores[i]);
    for (int i = 0; i < 3; i++)
        assert_true(world.claims[i] > 50);
    assert_true(world.failures > 5);
    assert_true(world.deaths > 20);
}

/* One process has the file. */
static void alone_it_is_as_the_model(void **state)
{
    run(*state, 1);
}

/* Several share it. */
static void shared_it_is_as_the_model(void **state)
{
    run(*state, PROCESSES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, idempotency_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(alone_it_is_as_the_model),
        TEST(shared_it_is_as_the_model),
    };

    fault_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
