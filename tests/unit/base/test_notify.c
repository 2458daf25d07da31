/* test_notify.c - base/notify.h against a real socket, with an environment that may be wrong. */
#include "base/notify.h"

#include <sys/stat.h>

#include "support/manager.h"

struct rig {
    struct manager manager;
    struct notify notify;
    struct warren_error error;
};

static int setup(void **state)
{
    static struct rig rig;

    rig = (struct rig){.manager.fd = -1};
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    manager_close(&rig->manager);
    return 0;
}

static enum warren_status take(struct rig *rig, const char *socket, const char *watchdog,
                               const char *pid)
{
    if (socket)
        setenv("NOTIFY_SOCKET", socket, 1);
    if (watchdog)
        setenv("WATCHDOG_USEC", watchdog, 1);
    if (pid)
        setenv("WATCHDOG_PID", pid, 1);
    return notify_take(&rig->notify, &rig->error);
}

/* A message arrives as it is, from this process. */
static void expect_told(struct rig *rig, const char *text)
{
    const char *came;

    if (notify_send(&rig->notify, text, &rig->error) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    came = manager_next(&rig->manager, 0);
    assert_non_null(came);
    assert_string_equal(came, text);
    assert_int_equal(rig->manager.sender, getpid());
}

/* ---- the environment ---- */

static void without_a_manager_nothing_is_sent(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(take(rig, NULL, "1000", NULL), WARREN_OK);
    assert_false(notify_is_on(&rig->notify));
    assert_int_equal(rig->notify.watchdog_us, 0);
    assert_int_equal(take(rig, "", NULL, NULL), WARREN_OK);
    assert_false(notify_is_on(&rig->notify));
    assert_int_equal(notify_send(&rig->notify, "READY=1\n", NULL), WARREN_OK);
}

static void an_abstract_name_is_told(void **state)
{
    struct rig *rig = *state;

    manager_open(&rig->manager, NULL);
    assert_int_equal(take(rig, rig->manager.name, NULL, NULL), WARREN_OK);
    expect_told(rig, "READY=1\nSTATUS=ready\n");
}

/* Up to the longest name that there can be. */
static void a_path_is_told(void **state)
{
    struct rig *rig = *state;
    struct sockaddr_un address;
    char path[sizeof address.sun_path];
    size_t len = (size_t)snprintf(path, sizeof path, "/tmp/warren-notify-%d-", (int)getpid());

    memset(path + len, 'x', sizeof path - 1 - len);
    path[sizeof path - 1] = '\0';
    manager_open(&rig->manager, path);
    assert_int_equal(take(rig, path, NULL, NULL), WARREN_OK);
    expect_told(rig, "STOPPING=1\n");
    unlink(path);
}

/* What a handler starts is not the service: it shall not speak for it. */
static void children_do_not_get_it(void **state)
{
    struct rig *rig = *state;

    manager_open(&rig->manager, NULL);
    assert_int_equal(take(rig, rig->manager.name, "30000000", NULL), WARREN_OK);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
}

static void expect_refused(struct rig *rig, const char *socket)
{
    assert_int_equal(take(rig, socket, NULL, NULL), WARREN_EINVAL);
    assert_non_null(strstr(rig->error.text, "NOTIFY_SOCKET="));
    assert_non_null(strstr(rig->error.text, "expected a path, or a name behind @"));
    assert_false(notify_is_on(&rig->notify));
    assert_null(getenv("NOTIFY_SOCKET"));
}

static void a_wrong_address_is_refused(void **state)
{
    char text[4096];

    expect_refused(*state, "relative/path");
    expect_refused(*state, "vsock:2:1234");
    expect_refused(*state, "@");
    expect_refused(*state, "/");
    memset(text, '/', sizeof text);
    text[sizeof((struct sockaddr_un *)0)->sun_path] = '\0'; /* one byte too many */
    expect_refused(*state, text);
    memset(text, '/', sizeof text);
    text[sizeof text - 1] = '\0';
    expect_refused(*state, text);
}

/* ---- the watchdog ---- */

static void the_watchdog_is_this_processes(void **state)
{
    struct rig *rig = *state;
    char pid[24];

    manager_open(&rig->manager, NULL);
    assert_int_equal(take(rig, rig->manager.name, "30000000", NULL), WARREN_OK);
    assert_int_equal(rig->notify.watchdog_us, 30000000);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(take(rig, rig->manager.name, "1", pid), WARREN_OK);
    assert_int_equal(rig->notify.watchdog_us, 1);
    assert_int_equal(take(rig, rig->manager.name, "1", "1"), WARREN_OK); /* a parent's */
    assert_int_equal(rig->notify.watchdog_us, 0);
    assert_true(notify_is_on(&rig->notify));
}

static void a_wrong_watchdog_is_refused(void **state)
{
    static const char *const wrong[] = {"0",  "-1",   "+5", " 5",
                                        "5s", "0x10", "x",  "99999999999999999999"};
    struct rig *rig = *state;

    manager_open(&rig->manager, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(take(rig, rig->manager.name, wrong[i], NULL), WARREN_EINVAL);
        assert_non_null(strstr(rig->error.text, "WATCHDOG_USEC="));
        assert_int_equal(rig->notify.watchdog_us, 0);
        assert_true(notify_is_on(&rig->notify)); /* all else is told */
        assert_int_equal(take(rig, rig->manager.name, "5", wrong[i]), WARREN_EINVAL);
        assert_non_null(strstr(rig->error.text, "WATCHDOG_PID="));
        assert_int_equal(rig->notify.watchdog_us, 0);
    }
}

/* ---- a manager that is gone, or does not read ---- */

static void a_manager_that_is_gone_is_an_error(void **state)
{
    struct rig *rig = *state;

    manager_open(&rig->manager, NULL);
    assert_int_equal(take(rig, rig->manager.name, NULL, NULL), WARREN_OK);
    manager_close(&rig->manager);
    assert_int_equal(notify_send(&rig->notify, "READY=1\n", &rig->error), WARREN_EIO);
    assert_non_null(strstr(rig->error.text, "NOTIFY_SOCKET=@warren-test-"));
    assert_non_null(strstr(rig->error.text, "Connection refused"));
    assert_int_equal(take(rig, "/nowhere/notify", NULL, NULL), WARREN_OK);
    assert_int_equal(notify_send(&rig->notify, "READY=1\n", &rig->error), WARREN_EIO);
    assert_string_equal(rig->error.text,
                        "NOTIFY_SOCKET=/nowhere/notify: No such file or directory");
}

/* The queue of its socket is full: who sends waits for a moment, and not for ever. */
static void a_manager_that_does_not_read_is_an_error(void **state)
{
    struct rig *rig = *state;
    enum warren_status status = WARREN_OK;

    manager_open(&rig->manager, NULL);
    assert_int_equal(take(rig, rig->manager.name, NULL, NULL), WARREN_OK);
    for (int i = 0; i < 100000 && status == WARREN_OK; i++)
        status = notify_send(&rig->notify, "WATCHDOG=1\n", &rig->error);
    assert_int_equal(status, WARREN_EIO);
    assert_non_null(strstr(rig->error.text, "Resource temporarily unavailable"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_a_manager_nothing_is_sent),
        TEST(an_abstract_name_is_told),
        TEST(a_path_is_told),
        TEST(children_do_not_get_it),
        TEST(a_wrong_address_is_refused),
        TEST(the_watchdog_is_this_processes),
        TEST(a_wrong_watchdog_is_refused),
        TEST(a_manager_that_is_gone_is_an_error),
        TEST(a_manager_that_does_not_read_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
