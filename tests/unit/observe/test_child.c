/* test_child.c - observe/child.h; the child is this program, which then does what its first
 * argument says.
 */
#include "observe/child.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

#define FLOOD ((size_t)4 << 20)

/* ---- as the child ---- */

static int write_much(int fd)
{
    static char piece[65536];

    memset(piece, 'x', sizeof piece);
    for (size_t done = 0; done < FLOOD; done += sizeof piece)
        if (write(fd, piece, sizeof piece) < 0)
            return 1;
    return 0;
}

/* "SIGNALS BLOCKED, DESCRIPTORS: 0 1 2 ": what it was born with. */
static int tell_birth(void)
{
    DIR *folder = opendir("/proc/self/fd");
    sigset_t mask;
    int blocked = 0;
    int open = 0;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < NSIG; i++)
        blocked += sigismember(&mask, i) == 1;
    for (int fd = 0; fd < 1000; fd++)
        open += fd != dirfd(folder) && fcntl(fd, F_GETFD) >= 0;
    closedir(folder);
    printf("%d blocked, %d open, pipe %s", blocked, open,
           signal(SIGPIPE, SIG_DFL) == SIG_DFL ? "default" : "other");
    return 0;
}

static int be_child(const char *what)
{
    char text[64];
    ssize_t n;

    if (strcmp(what, "birth") == 0)
        return tell_birth();
    if (strcmp(what, "echo") == 0) {
        while ((n = read(STDIN_FILENO, text, sizeof text)) > 0)
            if (write(STDOUT_FILENO, text, (size_t)n) != n)
                return 1;
        fprintf(stderr, "echoed");
        return 3;
    }
    if (strcmp(what, "flood") == 0)
        return write_much(STDOUT_FILENO);
    if (strcmp(what, "complain") == 0)
        return write_much(STDERR_FILENO);
    if (strcmp(what, "deaf") == 0)
        signal(SIGTERM, SIG_IGN);
    if (strcmp(what, "deaf") == 0 || strcmp(what, "sleep") == 0)
        sleep(1000);
    if (strcmp(what, "die") == 0)
        raise(SIGKILL);
    if (strcmp(what, "leave") == 0 && fork() == 0)
        sleep(1000);
    if (strcmp(what, "daemon") == 0 && fork() == 0) {
        setsid();
        sleep(60); /* nobody ends it */
    }
    return 0;
}

/* ---- as the test ---- */

struct rig {
    struct loop *loop;
    struct child child;
    int status;
    int signal;
    bool late;
    bool too_long;
    char out[256];
    size_t lens[2];
};

static void on_ended(void *user, struct child *child, int status)
{
    struct rig *rig = user;
    size_t len = buffer_len(&child->texts[0]);

    rig->status = status;
    rig->signal = child->signal;
    rig->late = child->late;
    rig->too_long = child->too_long;
    for (size_t i = 0; i < 2; i++)
        rig->lens[i] = buffer_len(&child->texts[i]);
    if (len > sizeof rig->out - 1)
        len = sizeof rig->out - 1;
    if (len > 0)
        memcpy(rig->out, buffer_front(&child->texts[0]), len);
    rig->out[len] = '\0';
    child_done(child);
    loop_stop(rig->loop);
}

static int setup(void **state)
{
    static struct rig rig;

    rig = (struct rig){.status = -2};
    *state = &rig;
    return loop_new(clock_monotonic(), &rig.loop) == WARREN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    child_done(&rig->child);
    loop_free(rig->loop);
    return 0;
}

static void start(struct rig *rig, const char *what, const char *input, uint32_t timeout_ms)
{
    const char *const arguments[] = {"test_child", "child", what, NULL};
    const struct child_options options = {.arguments = arguments,
                                          .input = {input, strlen(input)},
                                          .output_max = (size_t)1 << 20,
                                          .timeout_ms = timeout_ms};
    struct warren_error error;

    if (child_start(&rig->child, rig->loop, &options, on_ended, rig, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static void run(struct rig *rig, const char *what, const char *input)
{
    start(rig, what, input, 60000);
    loop_run(rig->loop);
}

/* It reads what it was given, and both its outputs and its status are known. */
static void it_says_and_ends(void **state)
{
    struct rig *rig = *state;

    run(rig, "echo", "hello");
    assert_int_equal(rig->status, 3);
    assert_string_equal(rig->out, "hello");
    assert_int_equal(rig->lens[1], strlen("echoed"));
    assert_false(rig->late || rig->too_long || rig->signal);
    run(rig, "echo", ""); /* and another one after it */
    assert_int_equal(rig->status, 3);
    assert_string_equal(rig->out, "");
}

/* Our thread blocks signals, ignores some, and has files open: of that it has nothing. */
static void it_begins_afresh(void **state)
{
    struct rig *rig = *state;
    int fd = open("/dev/null", O_RDONLY);
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    signal(SIGPIPE, SIG_IGN);
    run(rig, "birth", "");
    signal(SIGPIPE, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(rig->out, "0 blocked, 3 open, pipe default");
    close(fd);
}

/* Above the bound of its output it is ended; above that of its errors they are dropped. */
static void what_it_says_is_bounded(void **state)
{
    struct rig *rig = *state;

    run(rig, "flood", "");
    assert_true(rig->too_long);
    assert_true(rig->lens[0] <= (size_t)1 << 20);
    run(rig, "complain", "");
    assert_false(rig->too_long);
    assert_int_equal(rig->status, 0);
    assert_true(rig->lens[1] <= CHILD_ERRORS_MAX);
}

/* Its time is bounded, and a death by a signal is no status. */
static void its_time_is_bounded(void **state)
{
    struct rig *rig = *state;

    start(rig, "sleep", "", 100);
    loop_run(rig->loop);
    assert_true(rig->late);
    assert_int_equal(rig->status, -1);
    run(rig, "die", "");
    assert_false(rig->late);
    assert_int_equal(rig->status, -1);
    assert_int_equal(rig->signal, SIGKILL);
}

/* Who does not hear SIGTERM is killed. */
static void a_deaf_one_is_killed(void **state)
{
    struct rig *rig = *state;

    start(rig, "deaf", "", 1000);
    loop_run(rig->loop);
    assert_true(rig->late);
    assert_int_equal(rig->status, -1);
}

/* What it has started holds its output, and ends with it. */
static void what_it_leaves_ends(void **state)
{
    struct rig *rig = *state;
    int64_t begun_ms = loop_now_ms(rig->loop);

    run(rig, "leave", "");
    assert_int_equal(rig->status, 0);
    assert_false(rig->late);
    assert_true(loop_now_ms(rig->loop) - begun_ms < 30000);
}

/* What has left its group, and holds its output, is not waited for. */
static void a_daemon_is_not_waited_for(void **state)
{
    struct rig *rig = *state;
    int64_t begun_ms = loop_now_ms(rig->loop);

    run(rig, "daemon", "");
    assert_int_equal(rig->status, 0);
    assert_false(rig->late);
    assert_true(loop_now_ms(rig->loop) - begun_ms < 30000);
}

/* The end of who waits for it is its end. */
static void it_does_not_outlive_us(void **state)
{
    struct rig *rig = *state;
    pid_t pid;

    start(rig, "deaf", "", 60000);
    pid = rig->child.pid;
    child_done(&rig->child);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(rig->status, -2);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_says_and_ends),           TEST(it_begins_afresh),
        TEST(what_it_says_is_bounded),    TEST(its_time_is_bounded),
        TEST(a_deaf_one_is_killed),       TEST(what_it_leaves_ends),
        TEST(a_daemon_is_not_waited_for), TEST(it_does_not_outlive_us),
    };

    if (argc == 3 && strcmp(argv[1], "child") == 0)
        return be_child(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
