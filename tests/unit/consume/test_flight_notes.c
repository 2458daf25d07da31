/* test_flight_notes.c - what is remembered of messages, from process to process. */
#include "consume/crash/flight_notes.h"
#include "support/test.h"

#define NOTES  64
#define NOW_MS INT64_C(1700000000000)

struct rig {
    struct flight_file file;
    struct flight_notes notes;
};

static int setup(void **state)
{
    const struct flight_shape shape = {.slots = 1, .notes = NOTES};
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig || flight_file_memory(&shape, 1, &rig->file, NULL) != WARREN_OK ||
        flight_notes_init(&rig->notes, &rig->file) != WARREN_OK)
        return -1;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    flight_notes_done(&rig->notes);
    flight_file_close(&rig->file, true);
    free(rig);
    return 0;
}

static struct identity message(uint64_t number)
{
    return (struct identity){number, 1};
}

/* A failed attempt is remembered under a number; while its delivery is here nobody else gets it,
 * afterwards the next delivery does. */
static void a_failure_is_found_again(void **state)
{
    struct rig *rig = *state;
    struct identity it = message(7);
    struct flight_note note;
    uint32_t number = flight_notes_failed(&rig->notes, 0, &it, 1, NOW_MS);

    assert_true(number > 0);
    assert_false(flight_notes_any(&rig->notes));
    assert_int_equal(flight_notes_failed(&rig->notes, number, &it, 2, NOW_MS + 5), number);
    assert_int_equal(flight_notes_claim(&rig->notes, &it, NOW_MS, &note), 0);
    flight_notes_await(&rig->notes, number, false);
    assert_true(flight_notes_any(&rig->notes));
    assert_int_equal(flight_notes_claim(&rig->notes, &it, NOW_MS, &note), number);
    assert_int_equal(note.failed, 2);
    assert_int_equal(note.crashes, 0);
    assert_int_equal(note.first_ms, NOW_MS);
    assert_int_equal(note.noted_ms, NOW_MS + 5);
    assert_true(flight_note_is_sound(&note));
    assert_false(flight_notes_any(&rig->notes));
    flight_notes_forget(&rig->notes, number);
    assert_int_equal(flight_notes_count(&rig->notes), 0);
    assert_int_equal(flight_notes_claim(&rig->notes, &it, NOW_MS, &note), 0);
}

/* Two messages with the same id at once: the second one is not remembered, nor mistaken. */
static void a_second_one_of_the_same_id(void **state)
{
    struct rig *rig = *state;
    struct identity it = message(7);
    uint32_t number = flight_notes_failed(&rig->notes, 0, &it, 1, NOW_MS);

    assert_int_equal(flight_notes_failed(&rig->notes, 0, &it, 9, NOW_MS), 0);
    assert_int_equal(flight_notes_count(&rig->notes), 1);
    flight_notes_forget(&rig->notes, number);
}

/* What does not fit is not remembered; when room is made, it is. */
static void there_is_a_bound(void **state)
{
    struct rig *rig = *state;
    struct identity it;

    for (uint64_t i = 0; i < NOTES; i++) {
        it = message(i * 64); /* all at the same place of the index, or nearly */
        assert_int_equal(flight_notes_failed(&rig->notes, 0, &it, 1, NOW_MS), i + 1);
    }
    it = message(1);
    assert_int_equal(flight_notes_failed(&rig->notes, 0, &it, 1, NOW_MS), 0);
    flight_notes_forget(&rig->notes, 5);
    assert_int_equal(flight_notes_failed(&rig->notes, 0, &it, 1, NOW_MS), 5);
}

/* The index stays right whatever is taken out of it: against a list of what should be there. */
static void the_index_holds(void **state)
{
    struct rig *rig = *state;
    uint32_t numbers[256] = {0};
    uint32_t present = 0;
    uint64_t random = 42;

    for (int i = 0; i < 20000; i++) {
        struct identity it;
        struct flight_note note;
        size_t which;

        random = random * 6364136223846793005u + 1442695040888963407u;
        which = (random >> 33) % 256;
        it = message(which * 3 % 64); /* many collisions */
        it.high = which + 1;
        if (numbers[which]) {
            flight_notes_await(&rig->notes, numbers[which], false);
            assert_int_equal(flight_notes_claim(&rig->notes, &it, NOW_MS, &note), numbers[which]);
            flight_notes_forget(&rig->notes, numbers[which]);
            numbers[which] = 0;
            present--;
        } else if (present < NOTES) {
            numbers[which] = flight_notes_failed(&rig->notes, 0, &it, 1, NOW_MS);
            assert_true(numbers[which] > 0);
            present++;
        }
        assert_int_equal(flight_notes_count(&rig->notes), present);
    }
}

/* ---- from an earlier process ---- */

/* Notes of several recorders about one message add up, and the last crash is the one to tell. */
static void notes_add_up(void **state)
{
    struct rig *rig = *state;
    struct flight_note killed = {.message = message(7),
                                 .failed = 1,
                                 .crashes = 1,
                                 .reason = FLIGHT_KILLED,
                                 .first_ms = NOW_MS - 100,
                                 .noted_ms = NOW_MS - 100};
    struct flight_note crashed = {.message = message(7),
                                  .failed = 1,
                                  .crashes = 1,
                                  .reason = FLIGHT_SIGNAL,
                                  .report = 3,
                                  .first_ms = NOW_MS,
                                  .noted_ms = NOW_MS};
    struct flight_note note;
    uint32_t number;

    flight_notes_source(&rig->notes);
    flight_notes_load(&rig->notes, &crashed, true);
    flight_notes_source(&rig->notes);
    flight_notes_load(&rig->notes, &killed, true);
    assert_int_equal(atomic_load(&rig->notes.suspects), 1);
    number = flight_notes_claim(&rig->notes, &killed.message, NOW_MS, &note);
    assert_true(number > 0);
    assert_int_equal(note.failed, 2);
    assert_int_equal(note.crashes, 2);
    assert_int_equal(note.reason, FLIGHT_SIGNAL);
    assert_int_equal(note.report, 3);
    assert_int_equal(note.first_ms, NOW_MS - 100);
    flight_notes_forget(&rig->notes, number);
    assert_int_equal(atomic_load(&rig->notes.suspects), 0);
}

static uint32_t claim(struct rig *rig, const struct identity *it, uint32_t crashes)
{
    struct flight_note note = {.crashes = 0};
    uint32_t number = flight_notes_claim(&rig->notes, it, NOW_MS, &note);

    assert_int_equal(note.crashes, crashes);
    return number;
}

/* Equal messages in several threads of one process: its death counts once against each. So many
 * deliveries find a note, whichever of them is settled first. */
static void equal_messages_of_one_process(void **state)
{
    struct rig *rig = *state;
    struct flight_note killed = {.message = message(7), .crashes = 1, .noted_ms = NOW_MS};
    uint32_t numbers[3];

    flight_notes_source(&rig->notes);
    for (int i = 0; i < 3; i++)
        flight_notes_load(&rig->notes, &killed, true);
    assert_int_equal(atomic_load(&rig->notes.suspects), 3);
    for (int i = 0; i < 3; i++)
        assert_true((numbers[i] = claim(rig, &killed.message, 1)) > 0);
    assert_int_equal(claim(rig, &killed.message, 0), 0);
    flight_notes_forget(&rig->notes, numbers[1]);
    flight_notes_await(&rig->notes, numbers[2], false);
    flight_notes_await(&rig->notes, numbers[0], false);
    flight_notes_source(&rig->notes); /* the process died again, in one of them */
    flight_notes_load(&rig->notes, &killed, true);
    assert_true(claim(rig, &killed.message, 2) > 0);
    assert_true(claim(rig, &killed.message, 1) > 0);
    assert_int_equal(claim(rig, &killed.message, 0), 0);
    flight_notes_forget(&rig->notes, numbers[2]);
    flight_notes_forget(&rig->notes, numbers[0]);
    assert_int_equal(flight_notes_count(&rig->notes), 0);
    assert_int_equal(atomic_load(&rig->notes.suspects), 0);
}

/* A message that does not come was settled elsewhere. */
static void old_notes_are_forgotten(void **state)
{
    struct rig *rig = *state;
    struct flight_note old = {.message = message(1), .crashes = 1, .noted_ms = NOW_MS};
    struct flight_note young = {.message = message(2), .crashes = 1, .noted_ms = NOW_MS + 10};
    struct identity other = message(3);
    struct flight_note note;

    flight_notes_source(&rig->notes);
    flight_notes_load(&rig->notes, &old, true);
    flight_notes_load(&rig->notes, &young, true);
    flight_notes_claim(&rig->notes, &other, NOW_MS + FLIGHT_NOTE_KEPT_MS + 5, &note);
    assert_int_equal(flight_notes_count(&rig->notes), 1);
    assert_int_equal(atomic_load(&rig->notes.suspects), 1);
    assert_true(flight_notes_claim(&rig->notes, &young.message, NOW_MS, &note) > 0);
}

/* One that is at hand is not forgotten, however long it takes. */
static void a_note_at_hand_is_kept(void **state)
{
    struct rig *rig = *state;
    struct identity it = message(1);
    struct identity other = message(3);
    struct flight_note note;
    uint32_t number = flight_notes_failed(&rig->notes, 0, &it, 1, NOW_MS);

    flight_notes_claim(&rig->notes, &other, NOW_MS + 2 * FLIGHT_NOTE_KEPT_MS, &note);
    flight_notes_get(&rig->notes, number, &note);
    assert_int_equal(note.failed, 1);
}

/* No bit of a note can change without being seen. */
static void damage_is_seen(void **state)
{
    struct rig *rig = *state;
    struct identity it = message(7);
    uint32_t number = flight_notes_failed(&rig->notes, 0, &it, 3, NOW_MS);
    struct flight_note note = rig->file.notes[number - 1];

    assert_true(flight_note_is_sound(&note));
    for (size_t bit = 0; bit < 8 * sizeof note; bit++) {
        uint8_t *byte = (uint8_t *)&note + bit / 8;

        *byte ^= (uint8_t)(1u << bit % 8);
        assert_false(flight_note_is_sound(&note));
        *byte ^= (uint8_t)(1u << bit % 8);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_failure_is_found_again),
        T(a_second_one_of_the_same_id),
        T(there_is_a_bound),
        T(the_index_holds),
        T(notes_add_up),
        T(equal_messages_of_one_process),
        T(old_notes_are_forgotten),
        T(a_note_at_hand_is_kept),
        T(damage_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
