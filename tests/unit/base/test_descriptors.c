/* test_descriptors.c - what ends a process whose descriptors were taken away, and what does not. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/ending.h"
#include "base/log.h"
#include "support/test.h"

#define ENDED 1
#define LIVED 42

struct rig {
    int pair[2];
    int set;
    int event;
    int log;
};

/* What a child says, up to its end, in @said. @return its exit status */
static int run_child(void (*child)(struct rig *rig), char *said, size_t size)
{
    struct rig rig;
    int ends[2];
    int status;
    size_t len = 0;
    ssize_t got;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        struct epoll_event readable = {.events = EPOLLIN};

        close(ends[0]);
        log_set(WARREN_LOG_INFO, LOG_LOGFMT);
        rig.log = ends[1];
        if (log_start(rig.log) != WARREN_OK ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.pair) != 0)
            _exit(2);
        rig.set = epoll_create1(EPOLL_CLOEXEC);
        rig.event = eventfd(0, EFD_CLOEXEC);
        epoll_ctl(rig.set, EPOLL_CTL_ADD, rig.event, &readable);
        descriptors_add(rig.log, -1, "the log");
        descriptors_add(rig.pair[0], -1, "a socket");
        descriptors_add(rig.event, rig.set, "an event");
        child(&rig);
        descriptors_check();
        _exit(LIVED);
    }
    close(ends[1]);
    while (len < size - 1 && (got = read(ends[0], said + len, size - 1 - len)) > 0)
        len += (size_t)got;
    said[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void ends(void (*child)(struct rig *rig), const char *words)
{
    char said[4096];

    assert_int_equal(run_child(child, said, sizeof said), ENDED);
    if (!strstr(said, words) || !strstr(said, "level=error"))
        fail_msg("\"%s\" is not in: %s", words, said);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

static void lives(void (*child)(struct rig *rig))
{
    char said[4096];

    assert_int_equal(run_child(child, said, sizeof said), LIVED);
    assert_string_equal(said, "");
}

static void nothing(struct rig *rig)
{
    (void)rig;
}

/* Closed in good order, and used for something else. */
static void good_order(struct rig *rig)
{
    descriptors_close(rig->pair[0]);
    descriptors_close(-1);
    dup2(rig->pair[1], rig->pair[0]);
    descriptors_add(rig->pair[0], -1, "another socket");
}

static void all_is_as_it_was(void **state)
{
    (void)state;
    lives(nothing);
    lives(good_order);
}

static void close_socket(struct rig *rig)
{
    close(rig->pair[0]);
}

static void swap_socket(struct rig *rig)
{
    dup2(rig->pair[1], rig->pair[0]);
}

static void close_event(struct rig *rig)
{
    close(rig->event);
}

/* All of them have the same inode. */
static void swap_event(struct rig *rig)
{
    int other = eventfd(0, EFD_CLOEXEC);

    dup2(other, rig->event);
    close(other);
}

static void close_set(struct rig *rig)
{
    close(rig->set);
}

static void swap_set(struct rig *rig)
{
    dup2(rig->pair[1], rig->set);
}

static void close_log(struct rig *rig)
{
    close(rig->log);
}

static void swap_log(struct rig *rig)
{
    dup2(rig->pair[1], rig->log);
}

/* Whoever opens something else gets the number; it is one of ours, again. */
static void opened_anew(struct rig *rig)
{
    close(rig->pair[0]);
    descriptors_add(dup2(rig->pair[1], rig->pair[0]), -1, "another socket");
}

/* What is another's by now is not closed. */
static void closed_by_us(struct rig *rig)
{
    dup2(rig->pair[1], rig->pair[0]);
    descriptors_close(rig->pair[0]);
    log_error("not reached");
}

static void what_is_taken_away_ends_the_process(void **state)
{
    (void)state;
    ends(close_socket, ", a socket, was closed by something else");
    ends(swap_socket, ", a socket, was closed, and is another file now by");
    ends(close_event, ", an event, was closed by");
    ends(swap_event, ", an event, was closed, and is another file now");
    ends(close_set, ", the epoll set of an event loop, was closed by");
    ends(swap_set, ", the epoll set of an event loop, was closed, and is another file now");
    ends(close_log, ", the log, was closed by");
    ends(swap_log, ", the log, was closed, and is another file now");
    ends(opened_anew, ", a socket, was closed by");
    ends(closed_by_us, ", a socket, was closed, and is another file now");
}

static void told_before(void)
{
    log_info("told before");
}

static void told(struct rig *rig)
{
    (void)rig;
    ending_tell(told_before);
    ending_now("the end of %d", 1);
}

/* Who wants to know is told first, and what is in the log is written. */
static void the_end_is_told(void **state)
{
    char said[4096];

    (void)state;
    assert_int_equal(run_child(told, said, sizeof said), ENDED);
    assert_true(strstr(said, "told before") && strstr(said, "the end of 1") &&
                strstr(said, "told before") < strstr(said, "the end of 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_as_it_was),
        cmocka_unit_test(what_is_taken_away_ends_the_process),
        cmocka_unit_test(the_end_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
