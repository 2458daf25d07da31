/* test_flight_recorder.c - what a process that ends leaves about its messages, and what the next
 * one makes of it.
 */
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "consume/crash/flight_recorder.h"
#include "support/metric_page.h"

#define WORKERS 3

struct rig {
    char directory[64];
    struct flight *flight;
    struct flight_worker *workers;
    struct delivery *deliveries[WORKERS];
    sem_t wake;
    _Atomic uint32_t lost;
};

static void open_recorder(struct rig *rig)
{
    struct flight_options options = {.directory = rig->directory,
                                     .inherited = -1,
                                     .key = "broker and queues",
                                     .slots = WORKERS,
                                     .notes = 16,
                                     .crashes_max = 1,
                                     .wake = &rig->wake};
    struct warren_error error = {WARREN_OK, ""};

    if (flight_open(&options, &rig->flight, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    rig->workers = flight_take(rig->flight, "q", "p.h", false, &rig->lost);
    for (int i = 1; i < WORKERS; i++)
        assert_ptr_equal(flight_take(rig->flight, "q", "p.h", false, &rig->lost), &rig->workers[i]);
}

static int setup(void **state)
{
    struct warren_bytes none = {"", 0};
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    sem_init(&rig->wake, 0, 0);
    strcpy(rig->directory, "/tmp/test_flight_rec.XXXXXX");
    if (!mkdtemp(rig->directory))
        return -1;
    for (int i = 0; i < WORKERS; i++)
        rig->deliveries[i] = delivery_new(0, none, none, none, 0);
    open_recorder(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    /* To be sure that nothing is left: the last one takes all over, and forgets it. */
    if (rig->flight) {
        flight_close(rig->flight, true);
        open_recorder(rig);
        for (uint32_t i = 1; i <= rig->flight->file.head->note_count; i++)
            if (rig->flight->file.notes[i - 1].check)
                flight_notes_forget(&rig->flight->notes, i);
        flight_close(rig->flight, true);
    }
    assert_int_equal(rmdir(rig->directory), 0);
    for (int i = 0; i < WORKERS; i++)
        delivery_free(rig->deliveries[i]);
    free(rig);
    return 0;
}

static struct identity message(uint64_t number)
{
    return (struct identity){number, 1};
}

static void begin_again(struct rig *rig, int worker, uint64_t number, bool alone, uint32_t crashes)
{
    struct identity it = message(number);
    struct warren_bytes id = {"m-1\0A", 5};

    flight_begin(&rig->workers[worker], rig->deliveries[worker], &it, id, alone, 0, crashes);
}

static void begin_with(struct rig *rig, int worker, uint64_t number, bool alone)
{
    begin_again(rig, worker, number, alone, 0);
}

static void begin(struct rig *rig, int worker, bool alone)
{
    begin_with(rig, worker, (uint64_t)worker, alone);
}

/* The process is gone without a word, as by SIGKILL, and another one starts. */
static void die_and_restart(struct rig *rig)
{
    flight_close(rig->flight, false);
    open_recorder(rig);
}

static struct flight_note claim(struct rig *rig, int worker)
{
    struct identity it = message((uint64_t)worker);
    struct flight_note note = {.crashes = 0};

    if (flight_notes_any(&rig->flight->notes))
        flight_notes_claim(&rig->flight->notes, &it, clock_wall_ms(), &note);
    return note;
}

static bool is_told(struct rig *rig)
{
    return flight_told(rig->flight) && sem_trywait(&rig->wake) == 0;
}

/* ---- the end of a process ---- */

/* Killed: what was in a handler is suspected, but has not failed. What was not is innocent. */
static void killed(void **state)
{
    struct rig *rig = *state;
    struct flight_note note;

    begin(rig, 0, false);
    begin(rig, 1, false);
    assert_true(flight_end(&rig->workers[1]));
    die_and_restart(rig);
    assert_int_equal(flight_suspects(rig->flight), 1);
    note = claim(rig, 0);
    assert_int_equal(note.crashes, 1);
    assert_int_equal(note.failed, 0);
    assert_int_equal(note.reason, FLIGHT_KILLED);
    assert_int_equal(claim(rig, 1).crashes, 0);
}

/* Killed with equal messages in three threads: that is one crash of each, not three of one. Killed
 * again while one of them was alone: it was that one. */
static void killed_with_equal_messages(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < WORKERS; i++)
        begin_with(rig, i, 0, false);
    die_and_restart(rig);
    assert_int_equal(flight_suspects(rig->flight), WORKERS);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(claim(rig, 0).crashes, 1);
    assert_int_equal(claim(rig, 0).crashes, 0);
    begin_with(rig, 1, 0, true);
    die_and_restart(rig);
    assert_int_equal(claim(rig, 0).crashes, 2);
    for (int i = 1; i < WORKERS; i++)
        assert_int_equal(claim(rig, 0).crashes, 1);
    assert_int_equal(claim(rig, 0).crashes, 0);
}

/* Killed again while it was alone: it was this message. */
static void killed_alone(void **state)
{
    struct rig *rig = *state;
    struct flight_note note;

    begin(rig, 0, false);
    die_and_restart(rig);
    claim(rig, 0);
    begin(rig, 0, true);
    die_and_restart(rig);
    note = claim(rig, 0);
    assert_int_equal(note.crashes, 2);
    assert_int_equal(note.failed, 1);
}

/* Ended in good order, though handlers still ran: nobody is to blame. Nothing is left. */
static void landed(void **state)
{
    struct rig *rig = *state;

    begin(rig, 0, false);
    flight_close(rig->flight, true);
    open_recorder(rig);
    assert_int_equal(flight_suspects(rig->flight), 0);
}

/* A crash is reported with everything that is known, and those that ran with it are not blamed. */
static void crashed(void **state)
{
    struct rig *rig = *state;
    struct flight_report *report;
    struct flight_note note;

    begin(rig, 0, false);
    begin(rig, 1, false);
    rig->workers[0].slot->failed = 2;
    report = flight_crashed(&rig->workers[0], SIGBUS, 7, (void *)0x1234);
    assert_non_null(report);
    assert_true(atomic_load(&rig->flight->tainted));
    assert_true(is_told(rig));
    assert_int_equal(atomic_load(&rig->lost), 1);
    strcpy(report->backtrace, "#0 somewhere\n");
    flight_reported(&rig->workers[0]);
    assert_true(is_told(rig));
    assert_ptr_equal(flight_next_report(rig->flight), report);
    assert_null(flight_next_report(rig->flight));
    assert_true(atomic_load(&report->done));
    die_and_restart(rig);
    note = claim(rig, 0);
    assert_int_equal(note.crashes, 1);
    assert_int_equal(note.failed, 1);
    assert_int_equal(note.reason, FLIGHT_SIGNAL);
    assert_int_equal(claim(rig, 1).crashes, 0);
    report = &rig->flight->file.reports[note.report - 1];
    assert_int_equal(report->signal, SIGBUS);
    assert_int_equal(report->code, 7);
    assert_int_equal(report->address, 0x1234);
    assert_int_equal(report->attempt, 3);
    assert_string_equal(report->queue, "q");
    assert_string_equal(report->handler, "p.h");
    assert_int_equal(flight_message_id(report->message_id, report->id_len).len, 5);
    assert_memory_equal(report->message_id, "m-1\0A", 6);
    assert_string_equal(report->backtrace, "#0 somewhere\n");
    assert_null(flight_next_report(rig->flight)); /* that one is told already */
}

/* More crashes than there is room for reports: counted all the same. */
static void too_many_crashes(void **state)
{
    struct rig *rig = *state;
    uint64_t idle;

    for (int i = 0; i < FLIGHT_REPORTS_OWN + 2; i++) {
        begin(rig, 0, false);
        assert_int_equal(flight_crashed(&rig->workers[0], SIGSEGV, 1, NULL) != NULL,
                         i < FLIGHT_REPORTS_OWN);
        flight_reported(&rig->workers[0]);
        idle = atomic_load(&rig->workers[0].slot->state) & ~FLIGHT_STATE_MASK;
        atomic_store(&rig->workers[0].slot->state, idle);
        atomic_store(&rig->workers[0].slot->report, 0);
    }
    for (int i = 0; i < FLIGHT_REPORTS_OWN; i++)
        assert_non_null(flight_next_report(rig->flight));
    assert_null(flight_next_report(rig->flight));
    begin(rig, 0, false);
    flight_crashed(&rig->workers[0], SIGSEGV, 1, NULL);
    die_and_restart(rig);
    assert_int_equal(claim(rig, 0).crashes, 1);
}

/* Attempts in vain are remembered over a kill, until the message is settled. */
static void failures(void **state)
{
    struct rig *rig = *state;
    struct identity it = message(0);
    uint32_t number;

    begin(rig, 0, false);
    flight_notes_failed(&rig->flight->notes, 0, &it, 3, clock_wall_ms());
    flight_end(&rig->workers[0]);
    die_and_restart(rig);
    assert_int_equal(flight_suspects(rig->flight), 0);
    assert_int_equal(claim(rig, 0).failed, 3);
    number = flight_notes_failed(&rig->flight->notes, 1, &it, 4, clock_wall_ms());
    assert_int_equal(number, 1);
    flight_notes_forget(&rig->flight->notes, number);
    die_and_restart(rig);
    assert_false(flight_notes_any(&rig->flight->notes));
}

/* A process that starts and finds something wrong says so in one line, which is @text. */
static void restart_and_read_log(struct rig *rig, char *text, size_t size)
{
    int ends[2];
    ssize_t len;

    assert_int_equal(pipe(ends), 0);
    log_set(WARREN_LOG_WARN, LOG_LOGFMT);
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    open_recorder(rig);
    log_stop(10000);
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    close(ends[1]);
    len = read(ends[0], text, size - 1);
    assert_true(len > 0);
    text[len] = '\0';
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    close(ends[0]);
}

/* Notes that are damaged are left out, the others are kept. */
static void damaged_notes(void **state)
{
    struct rig *rig = *state;
    struct identity first = message(0);
    struct identity second = message(1);
    char text[1024];

    flight_notes_failed(&rig->flight->notes, 0, &first, 3, clock_wall_ms());
    flight_notes_failed(&rig->flight->notes, 0, &second, 4, clock_wall_ms());
    rig->flight->file.notes[0].failed = 1;
    flight_close(rig->flight, false);
    restart_and_read_log(rig, text, sizeof text);
    assert_non_null(strstr(text, "notes of an earlier process are damaged"));
    assert_non_null(strstr(text, " notes=1\n"));
    assert_int_equal(claim(rig, 0).failed, 0);
    assert_int_equal(claim(rig, 1).failed, 4);
}

/* A recorder that is damaged is told of with its name and the reason. */
static void a_damaged_recorder(void **state)
{
    struct rig *rig = *state;
    char text[1024];

    begin(rig, 0, false);
    rig->flight->file.head->version++;
    flight_close(rig->flight, false);
    restart_and_read_log(rig, text, sizeof text);
    assert_non_null(strstr(text, "flight recorder of an earlier process is of no use"));
    assert_non_null(strstr(text, rig->directory));
    assert_non_null(strstr(text, "error=\"it is of another version of warren\""));
    assert_int_equal(flight_suspects(rig->flight), 0);
}

/* ---- the hard limit ---- */

/* A handler that is over its limit is given up once; it cannot end any more. */
static void over_the_limit(void **state)
{
    struct rig *rig = *state;
    struct flight_note note;

    assert_int_equal(flight_watch(rig->flight, 1000), -1);
    assert_false(is_told(rig));
    begin(rig, 0, false);
    begin(rig, 1, false);
    flight_limit(&rig->workers[0], 1500, 800);
    assert_true(is_told(rig)); /* so that the main thread begins to watch */
    flight_limit(&rig->workers[0], 1600, 900);
    assert_false(is_told(rig));
    assert_int_equal(flight_watch(rig->flight, 1499), 100);
    assert_false(atomic_load(&rig->flight->tainted));
    flight_watch(rig->flight, 1500);
    assert_true(atomic_load(&rig->flight->tainted));
    assert_true(is_told(rig));
    flight_watch(rig->flight, 1600);
    assert_int_equal(atomic_load(&rig->lost), 1);
    assert_false(flight_end(&rig->workers[0]));
    assert_true(flight_end(&rig->workers[1]));
    assert_int_equal(flight_next_report(rig->flight)->reason, FLIGHT_LIMIT);
    die_and_restart(rig);
    note = claim(rig, 0);
    assert_int_equal(note.reason, FLIGHT_LIMIT);
    assert_int_equal(note.crashes, 1);
    assert_int_equal(note.failed, 1);
}

/* The limit was one message's; the next one of the thread has none. */
static void a_limit_ends_with_its_message(void **state)
{
    struct rig *rig = *state;

    begin(rig, 0, false);
    flight_limit(&rig->workers[0], 1500, 500);
    assert_true(flight_end(&rig->workers[0]));
    begin(rig, 0, false);
    flight_watch(rig->flight, 100000);
    assert_true(flight_end(&rig->workers[0]));
}

/* ---- a process that falls ---- */

static void run_well(struct rig *rig, int worker, uint64_t number, bool alone)
{
    begin_with(rig, worker, number, alone);
    assert_true(flight_end(&rig->workers[worker]));
}

static void fall_and_restart(struct rig *rig)
{
    flight_fell(rig->flight, SIGABRT, SI_TKILL, NULL);
    die_and_restart(rig);
}

static struct flight_note claim_number(struct rig *rig, uint64_t number)
{
    struct identity it = message(number);
    struct flight_note note = {.crashes = 0};

    flight_notes_claim(&rig->flight->notes, &it, clock_wall_ms(), &note);
    return note;
}

/* The last message of each thread may have done it, whether its handler has returned or not; what
 * its thread had before is innocent, and so is a thread that had none. */
static void a_fall_makes_suspects(void **state)
{
    struct rig *rig = *state;

    run_well(rig, 0, 10, false);
    run_well(rig, 0, 11, false);
    begin_with(rig, 1, 12, false);
    fall_and_restart(rig);
    assert_int_equal(flight_suspects(rig->flight), 2);
    assert_int_equal(claim_number(rig, 10).crashes, 0);
    assert_int_equal(claim_number(rig, 11).crashes, 1);
    assert_int_equal(claim_number(rig, 12).crashes, 1);
    assert_int_equal(claim_number(rig, 11).failed, 0);
    assert_false(flight_is_narrow(rig->flight));
}

/* Alone, but behind others: they were settled, so nobody else is suspected. It is not proven to be
 * guilty, for memory may have been spoiled by one of them. */
static void a_fall_behind_others_proves_nothing(void **state)
{
    struct rig *rig = *state;

    run_well(rig, 0, 11, false);
    fall_and_restart(rig);
    run_well(rig, 1, 12, false);
    run_well(rig, 0, 11, true);
    fall_and_restart(rig);
    assert_int_equal(claim_number(rig, 12).crashes, 0);
    assert_int_equal(claim_number(rig, 11).crashes, 1);
}

/* The only one that a process has begun did it. */
static void the_only_one_is_guilty(void **state)
{
    struct rig *rig = *state;
    struct flight_note note;

    run_well(rig, 0, 11, false);
    run_well(rig, 1, 12, false);
    fall_and_restart(rig);
    run_well(rig, 0, 11, true);
    fall_and_restart(rig);
    note = claim_number(rig, 11);
    assert_int_equal(note.crashes, 2);
    assert_int_equal(note.failed, 1);
    assert_int_equal(note.reason, FLIGHT_FALL);
    assert_int_equal(rig->flight->file.reports[note.report - 1].signal, SIGABRT);
    assert_int_equal(claim_number(rig, 12).crashes, 1);
}

/* It was settled, and its note forgotten, when the process fell; but its ack did not reach the
 * broker, which delivers it again. */
static void a_fall_before_the_ack(void **state)
{
    struct rig *rig = *state;
    struct identity it = message(11);
    struct flight_note note;
    uint32_t number;

    run_well(rig, 0, 11, false);
    fall_and_restart(rig);
    number = flight_notes_claim(&rig->flight->notes, &it, clock_wall_ms(), &note);
    begin_again(rig, 0, 11, true, note.crashes);
    assert_true(flight_end(&rig->workers[0]));
    flight_notes_forget(&rig->flight->notes, number);
    fall_and_restart(rig);
    assert_int_equal(claim_number(rig, 11).crashes, 2);
}

/* Others have begun since: it may have been one of them, too. */
static void who_came_later_may_have_done_it(void **state)
{
    struct rig *rig = *state;

    run_well(rig, 0, 11, false);
    fall_and_restart(rig);
    run_well(rig, 0, 11, true);
    begin_with(rig, 1, 12, false);
    fall_and_restart(rig);
    assert_int_equal(claim_number(rig, 11).crashes, 1);
    assert_int_equal(claim_number(rig, 12).crashes, 1);
}

/* A plugin's `key` or `before` crashed: that message has done it, and those in handlers have not.
 */
static void a_crash_on_the_loop(void **state)
{
    struct rig *rig = *state;
    struct flight_note note;

    for (uint32_t times = 1; times <= 2; times++) {
        rig->workers[1].slot->ahead = true;
        begin(rig, 0, false);
        begin(rig, 1, false);
        assert_int_equal(flight_begun(rig->flight), 1); /* no handler had it */
        flight_ends(&rig->workers[1], SIGSEGV, SEGV_MAPERR, NULL);
        assert_false(atomic_load(&rig->flight->tainted));
        die_and_restart(rig);
        assert_int_equal(flight_suspects(rig->flight), 1);
    }
    assert_int_equal(claim(rig, 0).crashes, 0);
    note = claim(rig, 1);
    assert_int_equal(note.crashes, 2);
    assert_int_equal(note.failed, 2);
    assert_int_equal(note.reason, FLIGHT_AHEAD);
    assert_int_equal(rig->flight->file.reports[note.report - 1].signal, SIGSEGV);
}

/* In a row of falls it is proven only if no handler had begun. */
static void a_crash_on_the_loop_in_a_row_of_falls(void **state)
{
    struct rig *rig = *state;

    begin(rig, 0, false);
    fall_and_restart(rig);
    for (uint32_t times = 1; times <= 3; times++) {
        rig->workers[1].slot->ahead = true;
        if (times < 3)
            begin(rig, 0, false);
        begin(rig, 1, false);
        flight_ends(&rig->workers[1], SIGSEGV, SEGV_MAPERR, NULL);
        die_and_restart(rig);
    }
    assert_int_equal(claim(rig, 1).crashes, 2);
}

/* In a row of falls a crash in a handler proves nothing either, but of the first one. */
static void a_crash_in_a_row_of_falls(void **state)
{
    struct rig *rig = *state;

    run_well(rig, 0, 11, false);
    fall_and_restart(rig);
    run_well(rig, 1, 12, false);
    begin_with(rig, 0, 11, true);
    flight_crashed(&rig->workers[0], SIGSEGV, 1, NULL);
    die_and_restart(rig);
    assert_int_equal(claim_number(rig, 11).crashes, 1);
    begin_with(rig, 0, 11, true);
    flight_crashed(&rig->workers[0], SIGSEGV, 1, NULL);
    die_and_restart(rig);
    assert_int_equal(claim_number(rig, 11).crashes, 2);
}

/* After some falls in a row messages run one at a time, until the guilty one is found, or a process
 * has lived in peace. */
static void a_row_of_falls_narrows(void **state)
{
    struct rig *rig = *state;
    int64_t now_ms;

    for (uint64_t i = 1; i <= FLIGHT_FALLS_MAX; i++) {
        assert_false(flight_is_narrow(rig->flight));
        run_well(rig, 0, i, false);
        run_well(rig, 1, 100 + i, false);
        fall_and_restart(rig);
    }
    assert_true(flight_is_narrow(rig->flight));
    now_ms = rig->flight->started_ms;
    flight_look_for_calm(rig->flight, now_ms + FLIGHT_CALM_MS - 1);
    assert_true(flight_is_narrow(rig->flight));
    flight_look_for_calm(rig->flight, now_ms + FLIGHT_CALM_MS);
    assert_false(flight_is_narrow(rig->flight));
    die_and_restart(rig);
    assert_false(flight_is_narrow(rig->flight));
}

/* A process that has lived in peace begins a new row. */
static void falls_far_apart_are_no_row(void **state)
{
    struct rig *rig = *state;

    for (uint64_t i = 1; i <= FLIGHT_FALLS_MAX + 1; i++) {
        run_well(rig, 0, i, false);
        rig->flight->started_ms -= FLIGHT_CALM_MS;
        fall_and_restart(rig);
    }
    assert_false(flight_is_narrow(rig->flight));
}

/* ---- restarts ---- */

/* The first few are free, then it takes longer and longer, up to a bound. */
static void restarts_are_slowed_down(void **state)
{
    static const int64_t delays[] = {0, 0, 0, 0, 0, 0, 1000, 2000, 4000, 8000, 10000, 10000};
    struct rig *rig = *state;

    for (uint32_t i = 0; i < sizeof delays / sizeof *delays; i++)
        assert_int_equal(flight_delay_ms(i), delays[i]);
    assert_int_equal(flight_delay_ms(UINT32_MAX), 10000);
    for (int i = 0; i < 7; i++) {
        flight_count_restart(rig->flight);
        die_and_restart(rig);
    }
    assert_int_equal(flight_restart_delay_ms(rig->flight), 2000);
    rig->flight->file.head->restarts.last_ms -= 61000; /* long ago */
    assert_int_equal(flight_restart_delay_ms(rig->flight), 0);
    flight_count_restart(rig->flight);
    assert_int_equal(rig->flight->file.head->restarts.count, 1);
}

/* What was counted goes on in the next process, which adds what it finds. */
static void counts_go_on(void **state)
{
    struct rig *rig = *state;

    assert_true(metric_on_page("warren_handler_crashes_total{signal=\"SIGBUS\"}") == 0);
    begin(rig, 0, false);
    flight_crashed(&rig->workers[0], SIGBUS, 7, NULL);
    begin(rig, 1, false);
    flight_ends(&rig->workers[1], 0, 0, NULL);
    flight_count_restart(rig->flight);
    assert_true(metric_on_page("warren_process_restarts_total") == 1);
    for (int process = 0; process < 2; process++) {
        assert_true(metric_on_page("warren_handler_crashes_total{signal=\"SIGBUS\"}") == 1);
        assert_true(metric_on_page("warren_handler_crashes_total{signal=\"SIGSEGV\"}") == 0);
        assert_true(metric_on_page("warren_handler_crashes_total{signal=\"none\"}") == 1);
        die_and_restart(rig);
    }
    assert_true(metric_on_page("warren_process_restarts_total") == 1);
    assert_true(metric_on_page("warren_suspects") == 2);
    assert_true(metric_on_page("warren_flight_notes") == 2);
    assert_true(metric_on_page("warren_flight_max_notes") == 16 + 2 * WORKERS);
    begin(rig, 2, false);
    die_and_restart(rig);
    assert_true(metric_on_page("warren_messages_killed_total") == 1);
    begin(rig, 2, false);
    flight_fell(rig->flight, SIGSEGV, 1, NULL);
    die_and_restart(rig);
    assert_true(metric_on_page("warren_process_falls_total") == 1);
    assert_true(metric_on_page("warren_process_falls_in_row") == 1);
    assert_true(metric_on_page("warren_messages_killed_total") == 1);
}

/* There are so many slots; one that comes back is given out again, for whoever wants it. */
static void slots_are_bounded(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(flight_room(rig->flight), 0);
    assert_null(flight_take(rig->flight, "q", "p.h", false, &rig->lost));
    flight_give_back(&rig->workers[1]);
    assert_int_equal(flight_room(rig->flight), 1);
    assert_ptr_equal(flight_take(rig->flight, "other", "p.h", true, &rig->lost), &rig->workers[1]);
    assert_string_equal(rig->workers[1].slot->queue, "other");
    assert_true(rig->workers[1].slot->ahead);
    assert_null(flight_take(rig->flight, "q", "p.h", false, &rig->lost));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- batches ---- */

#define BATCH 5

/* Worker 0 of a recorder with room for it has a batch of so many messages, from number @first on.
 */
static void begin_batch(struct rig *rig, uint64_t first, uint32_t count)
{
    struct flight_worker *w = rig->workers->next_member;
    struct flight_batch_item item = {.delivery = rig->deliveries[0], .message_id = {"m", 1}};

    for (uint32_t i = 1; i < count; i++, w = w->next_member) {
        item.message = message(first + i);
        flight_begin_member(w, &item, flight_level(count));
    }
    item.message = message(first);
    flight_begin_member(rig->workers, &item, flight_level(count));
}

static void open_for_batches(struct rig *rig)
{
    struct flight_options options = {.directory = rig->directory,
                                     .inherited = -1,
                                     .key = "broker and queues",
                                     .slots = BATCH + 1,
                                     .notes = 16,
                                     .crashes_max = 1,
                                     .wake = &rig->wake};
    struct warren_error error = {WARREN_OK, ""};

    flight_close(rig->flight, false);
    if (flight_open(&options, &rig->flight, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    rig->workers = flight_take(rig->flight, "q", "p.h", false, &rig->lost);
    for (int i = 1; i < BATCH; i++)
        assert_non_null(flight_take_member(rig->workers));
    assert_int_equal(flight_room(rig->flight), 1);
}

/* Each of them may run among half as many from then on. That is no crash of its own yet. */
static void expect_batch(struct rig *rig, uint64_t first, uint32_t count, enum flight_reason reason)
{
    for (uint64_t i = 0; i < count; i++) {
        struct flight_note note = claim_number(rig, first + i);

        assert_int_equal(note.crashes, 0);
        assert_int_equal(note.failed, 0);
        assert_int_equal(flight_note_reason(&note), reason);
        assert_int_equal(flight_note_most(&note), 1u << (flight_level(count) - 1));
        assert_true(flight_note_is_suspect(&note));
    }
}

/* One slot a message; when the worker is done, all are. */
static void a_batch_is_begun_and_ended(void **state)
{
    struct rig *rig = *state;
    struct identity its;

    open_for_batches(rig);
    begin_batch(rig, 10, BATCH);
    for (uint64_t i = 0; i < BATCH; i++) {
        its = message(10 + i);
        assert_true(flight_has(rig->flight, &its));
    }
    assert_int_equal(flight_begun(rig->flight), BATCH);
    assert_true(flight_end(rig->workers));
    begin_batch(rig, 20, 2);
    its = message(12);
    assert_false(flight_has(rig->flight, &its));
    assert_true(flight_end(rig->workers));
    open_for_batches(rig);
    assert_int_equal(flight_suspects(rig->flight), 0);
}

static void a_batch_that_was_killed(void **state)
{
    struct rig *rig = *state;

    open_for_batches(rig);
    begin_batch(rig, 10, BATCH);
    open_for_batches(rig);
    assert_int_equal(flight_suspects(rig->flight), BATCH);
    expect_batch(rig, 10, BATCH, FLIGHT_KILLED);
}

/* Its thread is lost, with all of them. The report is of none. */
static void a_batch_that_crashed(void **state)
{
    struct rig *rig = *state;
    const struct flight_report *report;

    open_for_batches(rig);
    begin_batch(rig, 10, BATCH);
    report = flight_crashed(rig->workers, SIGSEGV, 0, NULL);
    assert_non_null(report);
    assert_int_equal(report->id_len, 0);
    assert_string_equal(report->message_id, "");
    assert_int_equal(rig->lost, BATCH);
    assert_false(flight_end(rig->workers));
    atomic_store(&rig->flight->file.head->landed, 1); /* all others were done */
    open_for_batches(rig);
    assert_int_equal(flight_suspects(rig->flight), BATCH);
    expect_batch(rig, 10, BATCH, FLIGHT_SIGNAL);
}

static void a_batch_that_is_given_up(void **state)
{
    struct rig *rig = *state;

    open_for_batches(rig);
    begin_batch(rig, 10, 3);
    flight_limit(rig->workers, 1000, 1);
    flight_watch(rig->flight, 2000);
    assert_int_equal(rig->lost, 3);
    assert_false(flight_end(rig->workers));
    open_for_batches(rig);
    assert_int_equal(flight_suspects(rig->flight), 3);
    expect_batch(rig, 10, 3, FLIGHT_LIMIT);
}

/* Half after half: the suspicion is of the last one; alone it is a crash as any other. */
static void a_batch_is_halved(void **state)
{
    struct rig *rig = *state;
    struct flight_note note;

    open_for_batches(rig);
    begin_batch(rig, 10, BATCH);
    open_for_batches(rig);
    claim_number(rig, 10);
    begin_batch(rig, 10, 2);
    open_for_batches(rig);
    assert_int_equal(flight_suspects(rig->flight), BATCH);
    note = claim_number(rig, 10);
    assert_int_equal(flight_note_most(&note), 1);
    note = claim_number(rig, 11);
    assert_int_equal(flight_note_most(&note), 1);
    note = claim_number(rig, 12);
    assert_int_equal(flight_note_most(&note), 4);
    begin_with(rig, 0, 10, true);
    open_for_batches(rig);
    note = claim_number(rig, 10);
    assert_int_equal(note.crashes, 1);
    assert_int_equal(flight_note_most(&note), 0);
    assert_int_equal(flight_suspects(rig->flight), BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(killed),
        T(killed_with_equal_messages),
        T(killed_alone),
        T(landed),
        T(crashed),
        T(too_many_crashes),
        T(failures),
        T(damaged_notes),
        T(a_damaged_recorder),
        T(over_the_limit),
        T(a_limit_ends_with_its_message),
        T(a_fall_makes_suspects),
        T(a_fall_behind_others_proves_nothing),
        T(the_only_one_is_guilty),
        T(a_fall_before_the_ack),
        T(who_came_later_may_have_done_it),
        T(a_crash_on_the_loop),
        T(a_crash_on_the_loop_in_a_row_of_falls),
        T(a_crash_in_a_row_of_falls),
        T(a_row_of_falls_narrows),
        T(falls_far_apart_are_no_row),
        T(restarts_are_slowed_down),
        T(counts_go_on),
        T(slots_are_bounded),
        cmocka_unit_test_setup_teardown(a_batch_is_begun_and_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_was_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_crashed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_is_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_halved, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
