/* test_private_file.c - new files are for their owner, whatever the umask; old ones are left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/input_file.h"
#include "support/test.h"

struct rig {
    char folder[64];
    char path[128];
    char beside[PATH_MAX];
    mode_t umask;
};

/* A umask that forbids nothing, so that what is missing was left out on purpose. */
static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    snprintf(rig->folder, sizeof rig->folder, "/tmp/warren-private-XXXXXX");
    if (!mkdtemp(rig->folder))
        return -1;
    snprintf(rig->path, sizeof rig->path, "%s/file", rig->folder);
    snprintf(rig->beside, sizeof rig->beside, "%s-lock", rig->path);
    rig->umask = umask(0);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    umask(rig->umask);
    unlink(rig->path);
    unlink(rig->beside);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

static mode_t mode_of(const char *path)
{
    struct stat file;

    assert_int_equal(stat(path, &file), 0);
    return file.st_mode & 07777;
}

static void write_file(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "old", 3), 3);
    close(fd);
}

/* What is made is empty, and its owner's alone. */
static void a_new_file_is_private(void **state)
{
    struct rig *rig = *state;
    struct stat file;

    assert_true(private_file_make(rig->path));
    assert_int_equal(mode_of(rig->path), 0600);
    assert_int_equal(stat(rig->path, &file), 0);
    assert_int_equal(file.st_size, 0);
}

/* What is there keeps its mode and its bytes. */
static void an_old_file_is_left_alone(void **state)
{
    struct rig *rig = *state;
    struct stat file;

    write_file(rig->path, 0640);
    assert_false(private_file_make(rig->path));
    assert_int_equal(errno, EEXIST);
    assert_int_equal(mode_of(rig->path), 0640);
    assert_int_equal(stat(rig->path, &file), 0);
    assert_int_equal(file.st_size, 3);
}

static void open_beside(const struct rig *rig)
{
    char name[PATH_MAX];
    int fd = private_file_beside(rig->path, "-lock", name);

    assert_true(fd >= 0);
    close(fd);
    assert_string_equal(name, rig->beside);
}

/* A file beside another is for the same people, but for what makes it a program. */
static void beside_follows_the_first(void **state)
{
    struct rig *rig = *state;

    write_file(rig->path, 0760);
    open_beside(rig);
    assert_int_equal(mode_of(rig->beside), 0660);
    unlink(rig->beside);
    unlink(rig->path);
    open_beside(rig);
    assert_int_equal(mode_of(rig->beside), 0600);
}

/* One that is there is opened as it is. */
static void an_old_one_beside_is_left_alone(void **state)
{
    struct rig *rig = *state;

    write_file(rig->path, 0600);
    write_file(rig->beside, 0644);
    open_beside(rig);
    assert_int_equal(mode_of(rig->beside), 0644);
}

/* Too long a name is an error, not another file. */
static void a_long_name_is_an_error(void **state)
{
    char path[PATH_MAX];
    char name[PATH_MAX];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(private_file_beside(path, "-lock", name), -1);
    assert_int_equal(errno, ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_private),    TEST(an_old_file_is_left_alone),
        TEST(beside_follows_the_first), TEST(an_old_one_beside_is_left_alone),
        TEST(a_long_name_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
