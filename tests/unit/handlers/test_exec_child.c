/* test_exec_child.c - commands as exec.run runs them, and the environment that they find. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../comma_locale.h"
#include "handlers/exec/child.h"
#include "handlers/exec/environment.h"
#include "job_rig.h"
#include "support/test.h"

static const struct warren_properties no_properties;

/* Run a shell script with @body, in the environment of the rig's job. */
static int run(struct rig *rig, const char *script, struct warren_bytes body, int64_t timeout_ms,
               struct child_end *end)
{
    char *command[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    struct child_task task = {.command = command,
                              .environment = environment_for(rig->job),
                              .body = body,
                              .timeout_ms = timeout_ms,
                              .kill_after_ms = 100,
                              .job = rig->job};

    assert_non_null(task.environment);
    return child_run(&task, end);
}

static bool output_is(const struct child_end *end, const char *text)
{
    return end->output_len == strlen(text) && memcmp(end->output, text, end->output_len) == 0;
}

/* The body is what the command reads, and its exit status comes back. */
static void body_in_status_out(void **state)
{
    struct rig *rig = *state;
    struct child_end end;

    rig_begin(rig, &no_properties, warren_text(""));
    assert_int_equal(run(rig, "cat; exit 65", warren_text("hello"), 5000, &end), 0);
    assert_int_equal(end.exit_status, 65);
    assert_int_equal(end.signal, 0);
    assert_true(output_is(&end, "hello"));
}

/* A large body that nobody reads does not block. */
static void an_unread_body_is_no_trouble(void **state)
{
    struct rig *rig = *state;
    size_t len = (size_t)4 << 20;
    void *body = calloc(1, len);
    struct child_end end;

    rig_begin(rig, &no_properties, warren_text(""));
    assert_int_equal(run(rig, "exit 0", (struct warren_bytes){body, len}, 5000, &end), 0);
    assert_int_equal(end.exit_status, 0);
    free(body);
}

/* More output than is kept: its beginning is, the rest is counted, and the command goes on. */
static void output_is_bounded(void **state)
{
    struct rig *rig = *state;
    struct child_end end;

    rig_begin(rig, &no_properties, warren_text(""));
    assert_int_equal(run(rig, "head -c 300000 /dev/zero >&2; exit 7", warren_text(""), 5000, &end),
                     0);
    assert_int_equal(end.exit_status, 7);
    assert_int_equal(end.output_len, CHILD_OUTPUT_MAX);
    assert_int_equal(end.output_lost, 300000 - CHILD_OUTPUT_MAX);
}

/* The time limit ends a command that ignores SIGTERM, and what it started. */
static void the_limit_ends_the_group(void **state)
{
    struct rig *rig = *state;
    struct child_end end;
    long child;

    rig_begin(rig, &no_properties, warren_text(""));
    assert_int_equal(run(rig, "trap '' TERM; sleep 60 & echo $!; while :; do wait; done",
                         warren_text(""), 50, &end),
                     0);
    assert_true(end.timed_out);
    assert_int_equal(end.signal, SIGKILL);
    end.output[end.output_len < CHILD_OUTPUT_MAX ? end.output_len : CHILD_OUTPUT_MAX - 1] = '\0';
    child = strtol(end.output, NULL, 10);
    assert_true(child > 1);
    /* Gone, or a zombie that init has not collected yet: it takes no more signals. */
    for (int i = 0; i < 500 && kill((pid_t)child, 0) == 0; i++) {
        char path[64], stat[256] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/%ld/stat", child);
        file = fopen(path, "r");
        if (!file)
            return;
        assert_non_null(fgets(stat, sizeof stat, file));
        fclose(file);
        if (strstr(stat, ") Z"))
            return;
        poll(NULL, 0, 10);
        assert_true(i < 499);
    }
}

/* While the worker drains, the command ends within what is left. */
static void draining_shortens_the_limit(void **state)
{
    struct rig *rig = *state;
    int64_t started_ms = clock_now_ms(clock_monotonic());
    struct child_end end;

    rig_begin(rig, &no_properties, warren_text(""));
    rig->deadline_ms = started_ms + 500;
    assert_int_equal(run(rig, "exec sleep 60", warren_text(""), 0, &end), 0);
    assert_true(end.timed_out);
    assert_int_equal(end.signal, SIGTERM);
    assert_true(clock_now_ms(clock_monotonic()) - started_ms < 10000);
}

/* What the command leaves running, also deaf to SIGTERM, is killed with the group. As a subreaper
 * this process is given it, and can see how it ended. */
static void what_is_left_is_killed(void **state)
{
    const char *const scripts[] = {"sleep 60 & exit 0", "sleep 60 & sleep 60 | cat",
                                   "(trap '' TERM; sleep 60; sleep 60) & exec sleep 60"};
    struct rig *rig = *state;
    struct child_end end;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    rig_begin(rig, &no_properties, warren_text(""));
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        assert_int_equal(run(rig, scripts[i], warren_text(""), i == 0 ? 20000 : 50, &end), 0);
        assert_int_equal(end.exit_status, i == 0 ? 0 : -1);
        for (int status; waitpid(-1, &status, 0) > 0;)
            assert_true(WIFSIGNALED(status));
        assert_int_equal(errno, ECHILD);
    }
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

/* An exit status that is lost is no success. */
static void a_lost_status_is_an_error(void **state)
{
    struct rig *rig = *state;
    struct child_end end;

    rig_begin(rig, &no_properties, warren_text(""));
    signal(SIGCHLD, SIG_IGN);
    assert_int_equal(run(rig, "exit 65", warren_text(""), 5000, &end), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* No zombie and no descriptor stays, and the command inherits none. */
static void nothing_is_left_behind(void **state)
{
    struct rig *rig = *state;
    size_t before = count_descriptors();
    int inheritable = dup(STDIN_FILENO); /* without close-on-exec */
    struct child_end end;

    rig_begin(rig, &no_properties, warren_text(""));
    assert_int_equal(run(rig, "exec ls /proc/self/fd", warren_text(""), 5000, &end), 0);
    close(inheritable);
    assert_int_equal(end.exit_status, 0);
    assert_true(output_is(&end, "0\n1\n2\n3\n")); /* 3 is the folder that ls reads */
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* A number has a point, also where a plugin has called setlocale(3). */
static void numbers_have_a_point(void **state)
{
    struct rig *rig = *state;
    struct warren_field half = {"half", {.type = WARREN_F64, .as.real = 0.5}};
    struct warren_properties properties = {.headers = {&half, 1}};
    struct child_end end;

    TAKE_COMMA_LOCALE();
    rig_begin(rig, &properties, warren_text(""));
    assert_int_equal(run(rig, "printf %s $WARREN_HEADER_HALF", warren_text(""), 5000, &end), 0);
    setlocale(LC_ALL, "C");
    assert_true(output_is(&end, "0.5"));
}

/* A program that does not exist is an errno, not an exit status. */
static void no_such_program(void **state)
{
    struct rig *rig = *state;
    char *command[] = {"/nonexistent/program", NULL};
    struct child_task task = {.command = command};
    struct child_end end;

    rig_begin(rig, &no_properties, warren_text(""));
    task.environment = environment_for(rig->job);
    task.job = rig->job;
    assert_int_equal(child_run(&task, &end), ENOENT);
}

/* Properties and plain headers have variables; the worker's own secrets have none. */
static void the_environment(void **state)
{
    struct rig *rig = *state;
    struct warren_field fields[] = {
        warren_field_text("x-trace.id", "a b"),
        warren_field_i64("Tries", -5),
        warren_field_text("X_TRACE-ID", "the first counts"),
        {"raw", {.type = WARREN_BYTES, .as.bytes = {"x", 1}}},
    };
    struct warren_properties properties = {.message_id = "m-1",
                                           .headers = {fields, sizeof fields / sizeof *fields}};
    struct arena texts;
    struct child_end end;

    setenv("WARREN_BROKER_URI", "amqp://user:secret@host/", 1);
    arena_init(&texts);
    properties.correlation_id = arena_text(&texts, "no\0variable", 11);
    rig_begin_whole(rig, &properties, &texts, warren_text("12345"));
    arena_done(&texts);
    assert_int_equal(run(rig, "env | grep ^WARREN_ | LC_ALL=C sort", warren_text(""), 5000, &end),
                     0);
    unsetenv("WARREN_BROKER_URI");
    assert_true(output_is(&end, "WARREN_ATTEMPT=1\nWARREN_BODY_SIZE=5\nWARREN_EXCHANGE=shop\n"
                                "WARREN_HEADER_TRIES=-5\nWARREN_HEADER_X_TRACE_ID=a b\n"
                                "WARREN_MESSAGE_ID=m-1\nWARREN_QUEUE=payments\n"
                                "WARREN_REDELIVERED=false\nWARREN_ROUTING_KEY=eu.de\n"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(body_in_status_out),
        TEST(an_unread_body_is_no_trouble),
        TEST(output_is_bounded),
        TEST(the_limit_ends_the_group),
        TEST(draining_shortens_the_limit),
        TEST(what_is_left_is_killed),
        TEST(a_lost_status_is_an_error),
        TEST(nothing_is_left_behind),
        TEST(numbers_have_a_point),
        TEST(no_such_program),
        TEST(the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
