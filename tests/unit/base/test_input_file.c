/* test_input_file.c - what is read: regular files, and descriptors that are open already. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/input_file.h"
#include "support/test.h"

struct rig {
    char folder[64];
    char path[128];
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    snprintf(rig->folder, sizeof rig->folder, "/tmp/warren-input-XXXXXX");
    if (!mkdtemp(rig->folder))
        return -1;
    snprintf(rig->path, sizeof rig->path, "%s/file", rig->folder);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    unlink(rig->path);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

static void expect_refused(const char *path, const char *why)
{
    const char *told = NULL;

    assert_int_equal(input_file_open(path, &told), -1);
    assert_string_equal(told, why);
}

static void a_regular_file(void **state)
{
    struct rig *rig = *state;
    const char *why;
    char text[8] = "";
    int fd = open(rig->path, O_WRONLY | O_CREAT, 0600);

    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
    fd = input_file_open(rig->path, &why);
    assert_true(fd >= 0);
    assert_null(why);
    assert_int_equal(read(fd, text, sizeof text), 4);
    close(fd);
    assert_false(input_file_is_once(rig->path));
}

static void nothing(void **state)
{
    const struct rig *rig = *state;

    expect_refused(rig->path, strerrordesc_np(2 /* ENOENT */));
}

/* Nobody writes it, and nobody ever will. */
static void a_pipe_with_a_name(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(mkfifo(rig->path, 0600), 0);
    expect_refused(rig->path, "it is a pipe, not a regular file");
}

static void a_socket(void **state)
{
    struct rig *rig = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", rig->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_refused(rig->path, "it is a socket, not a regular file");
    close(fd);
    assert_false(input_file_is_once(rig->folder));
}

/* As of a shell's <(...): reading waits for what comes. */
static void a_pipe_that_is_open(void **state)
{
    char path[32];
    char text[8] = "";
    const char *why;
    int ends[2];
    int fd;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_true(input_file_is_once(path));
    fd = input_file_open(path, &why);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(write(ends[1], "text", 4), 4);
    assert_int_equal(read(fd, text, sizeof text), 4);
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_regular_file),      TEST(nothing), TEST(a_pipe_with_a_name), TEST(a_socket),
        TEST(a_pipe_that_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
