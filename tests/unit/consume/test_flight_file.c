/* test_flight_file.c - recorders in a directory: who takes over which, and what damage does. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "consume/crash/flight_file.h"
#include "support/test.h"

#define KEY 42

static const struct flight_shape shape = {.slots = 2, .notes = 4};

struct rig {
    char directory[64];
    unsigned adopted;
    uint32_t failed; /* of the first note of the last one adopted */
    unsigned refused;
    char refused_path[512];
    const char *refused_why;
    unsigned orphaned;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    strcpy(rig->directory, "/tmp/test_flight_file.XXXXXX");
    if (!mkdtemp(rig->directory))
        return -1;
    *state = rig;
    return 0;
}

/* Each entry of the directory; or remove them. @return how many there were */
static unsigned entries(const struct rig *rig, bool remove, char *ret_last)
{
    DIR *directory = opendir(rig->directory);
    struct dirent *entry;
    unsigned count = 0;
    char path[512];

    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        snprintf(path, sizeof path, "%s/%s", rig->directory, entry->d_name);
        if (ret_last)
            memcpy(ret_last, path, strlen(path) + 1);
        if (remove)
            unlink(path);
    }
    closedir(directory);
    return count;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    entries(rig, true, NULL);
    rmdir(rig->directory);
    free(rig);
    return 0;
}

static void earlier(void *user, const struct flight_file *file)
{
    struct rig *rig = user;

    rig->adopted++;
    rig->failed = file->notes[0].failed;
}

static void refused(void *user, const char *path, const char *why)
{
    struct rig *rig = user;

    rig->refused++;
    snprintf(rig->refused_path, sizeof rig->refused_path, "%s", path);
    rig->refused_why = why;
}

static void orphaned(void *user, const char *path)
{
    struct rig *rig = user;

    assert_int_equal(strncmp(path, rig->directory, strlen(rig->directory)), 0);
    rig->orphaned++;
}

static enum warren_status create_in(struct rig *rig, const char *directory, uint64_t key,
                                    struct flight_file *file, struct warren_error *error)
{
    const struct flight_heir heir = {earlier, refused, orphaned, rig};

    rig->adopted = rig->refused = rig->orphaned = 0;
    return flight_file_create(directory, &shape, key, &heir, file, error);
}

static void create(struct rig *rig, uint64_t key, struct flight_file *file)
{
    struct warren_error error = {WARREN_OK, ""};

    if (create_in(rig, rig->directory, key, file, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

/* A process that dies leaves its file, with all that was written; the next one takes it over. */
static void the_next_one_takes_over(void **state)
{
    struct rig *rig = *state;
    struct flight_file file;

    create(rig, KEY, &file);
    assert_int_equal(rig->adopted, 0);
    assert_int_equal(file.head->slot_count, 2);
    file.notes[0].failed = 5;
    flight_file_close(&file, false);
    create(rig, KEY, &file);
    assert_int_equal(rig->adopted, 1);
    assert_int_equal(rig->failed, 5);
    assert_int_equal(file.notes[0].failed, 0);
    assert_int_equal(entries(rig, false, NULL), 1);
    flight_file_close(&file, true);
    assert_int_equal(entries(rig, false, NULL), 0);
}

/* Those of living processes, and of other brokers or queues, are left alone. */
static void others_are_left_alone(void **state)
{
    struct rig *rig = *state;
    struct flight_file living;
    struct flight_file other;
    struct flight_file file;

    create(rig, KEY, &living);
    create(rig, KEY + 1, &other);
    flight_file_close(&other, false);
    create(rig, KEY, &file);
    assert_int_equal(rig->adopted, 0);
    assert_int_equal(entries(rig, false, NULL), 3);
    flight_file_close(&file, false);
    flight_file_close(&living, false);
    create(rig, KEY, &file);
    assert_int_equal(rig->adopted, 2);
    flight_file_close(&file, true);
}

static void make_old(const char *path, int days)
{
    const struct timespec at = {.tv_sec = time(NULL) - days * 24 * 3600};

    assert_int_equal(utimensat(AT_FDCWD, path, (const struct timespec[]){at, at}, 0), 0);
}

/* Another one's goes, too, when nobody has had it for a week. */
static void an_old_one_of_others_is_removed(void **state)
{
    struct rig *rig = *state;
    struct flight_file other;
    struct flight_file file;
    char path[512];

    create(rig, KEY + 1, &other);
    snprintf(path, sizeof path, "%s", other.path);
    make_old(path, 8);
    create(rig, KEY, &file); /* it lives */
    assert_int_equal(rig->orphaned, 0);
    flight_file_close(&file, true);
    flight_file_close(&other, false);
    make_old(path, 6);
    create(rig, KEY, &file);
    assert_int_equal(rig->orphaned, 0);
    flight_file_close(&file, true);
    make_old(path, 8);
    create(rig, KEY, &file);
    assert_int_equal(rig->orphaned, 1);
    assert_int_equal(rig->adopted + rig->refused, 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(entries(rig, false, NULL), 1);
    flight_file_close(&file, true);
}

/* What only resembles one is somebody's. */
static void files_of_other_names_stay(void **state)
{
    static const char *const names[] = {"flight-notes", "flight-0123456789abcdef-12.0.old",
                                        "flight-0123456789ABCDEF-12.0", "offsets"};
    struct rig *rig = *state;
    struct flight_file file;
    char path[512];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", rig->directory, names[i]);
        close(open(path, O_CREAT | O_WRONLY, 0600));
        make_old(path, 100);
    }
    create(rig, KEY, &file);
    assert_int_equal(rig->orphaned, 0);
    assert_int_equal(entries(rig, false, NULL), 5);
    flight_file_close(&file, true);
}

/* Somebody else may have the memory of a process for longer than it lives: who reads its /proc, a
 * child. That is no process that lives. */
static void memory_that_outlives_its_process(void **state)
{
    struct rig *rig = *state;
    struct flight_file file;
    int ready[2];
    char byte;
    pid_t child;

    create(rig, KEY, &file);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(file.fd);
        close(ready[0]);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    flight_file_close(&file, false);
    create(rig, KEY, &file);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(rig->adopted, 1);
    flight_file_close(&file, true);
}

static void rekey(struct flight_file *file, uint64_t key)
{
    struct warren_error error = {WARREN_OK, ""};

    if (flight_file_rekey(file, key, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

/* One that gets another key is found by that, and not by its old one; no other file is lost. */
static void another_key_is_another_name(void **state)
{
    struct rig *rig = *state;
    struct flight_file there;
    struct flight_file file;

    create(rig, KEY + 1, &there);
    flight_file_close(&there, false);
    create(rig, KEY, &file);
    file.notes[0].failed = 5;
    rekey(&file, KEY + 1);
    assert_int_equal(entries(rig, false, NULL), 2);
    file.notes[0].failed = 6; /* it is the same memory still */
    flight_file_close(&file, false);
    create(rig, KEY, &file);
    assert_int_equal(rig->adopted, 0);
    flight_file_close(&file, true);
    create(rig, KEY + 1, &file);
    assert_int_equal(rig->adopted, 2);
    assert_int_equal(rig->refused, 0);
    rekey(&file, KEY);
    flight_file_close(&file, true);
    assert_int_equal(entries(rig, false, NULL), 0);
}

/* Of one in memory nothing but the key changes. */
static void another_key_in_memory(void **state)
{
    struct warren_error error = {WARREN_OK, ""};
    struct flight_file file;
    struct flight_file read;
    int fd;

    (void)state;
    assert_int_equal(flight_file_memory(&shape, KEY, &file, &error), WARREN_OK);
    rekey(&file, KEY + 1);
    fd = dup(file.fd);
    assert_non_null(flight_file_read(fd, KEY, &read));
    assert_null(flight_file_read(fd, KEY + 1, &read));
    flight_file_close(&read, false);
    flight_file_close(&file, false);
}

/* One whose file was taken away keeps its key, and says why. */
static void another_key_for_what_is_gone(void **state)
{
    struct warren_error error = {WARREN_OK, ""};
    struct rig *rig = *state;
    struct flight_file file;

    create(rig, KEY, &file);
    entries(rig, true, NULL);
    assert_int_equal(flight_file_rekey(&file, KEY + 1, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "cannot rename a file: No such file or directory"));
    assert_true(file.head->key == KEY);
    flight_file_close(&file, true);
}

static void flip(int fd, off_t at)
{
    char byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* What another one has half written, or a disk has damaged, is never taken for a recorder. */
static void damaged_files_are_harmless(void **state)
{
    struct rig *rig = *state;
    struct flight_file file;
    char path[512];
    struct stat info;

    create(rig, KEY, &file);
    flight_file_close(&file, false);
    assert_int_equal(entries(rig, false, path), 1);
    assert_int_equal(stat(path, &info), 0);
    for (off_t byte = 0; byte < (off_t)(offsetof(struct flight_head, key) + 8); byte++) {
        int fd = open(path, O_RDWR);

        if (byte == offsetof(struct flight_head, pid)) /* which means nothing to others */
            byte += 4;
        flip(fd, byte);
        assert_non_null(flight_file_read(fd, KEY, &file));
        flip(fd, byte);
        close(fd);
    }
    for (off_t size = 0; size < info.st_size; size += 997) {
        int fd = open(path, O_RDWR);

        assert_int_equal(ftruncate(fd, size), 0);
        assert_non_null(flight_file_read(fd, KEY, &file));
        assert_int_equal(ftruncate(fd, info.st_size), 0);
        close(fd);
    }
}

/* Leave a recorder behind, overwrite @len bytes of it @at some place, and start anew. */
static void start_on_damage(struct rig *rig, off_t at, const void *bytes, size_t len)
{
    struct flight_file file;
    char path[512];
    int fd;

    create(rig, KEY, &file);
    flight_file_close(&file, false);
    assert_int_equal(entries(rig, false, path), 1);
    fd = open(path, O_RDWR);
    if (bytes)
        assert_int_equal(pwrite(fd, bytes, len, at), len);
    else
        assert_int_equal(ftruncate(fd, at), 0);
    close(fd);
    create(rig, KEY, &file);
    assert_int_equal(rig->adopted, 0);
    assert_int_equal(rig->refused, 1);
    assert_string_equal(rig->refused_path, path);
    assert_int_equal(entries(rig, false, NULL), 1); /* the new one */
    flight_file_close(&file, true);
}

/* One that is damaged does not keep a worker from starting: it is told of, once, and removed. */
static void what_is_damaged_is_told_of(void **state)
{
    struct rig *rig = *state;
    uint32_t many = UINT32_MAX;

    start_on_damage(rig, 10, NULL, 0);
    assert_string_equal(rig->refused_why, "it is too short");
    start_on_damage(rig, 4096, NULL, 0);
    assert_string_equal(rig->refused_why, "it is not as long as it says");
    start_on_damage(rig, 0, "garbage", 8);
    assert_string_equal(rig->refused_why, "it is no flight recorder, or was never finished");
    start_on_damage(rig, offsetof(struct flight_head, note_count), &many, sizeof many);
    assert_string_equal(rig->refused_why, "it is damaged");
}

/* What another version has written is not guessed at. */
static void another_version_is_told_of(void **state)
{
    struct rig *rig = *state;
    uint32_t other = 1000;

    start_on_damage(rig, offsetof(struct flight_head, version), &other, sizeof other);
    assert_string_equal(rig->refused_why, "it is of another version of warren");
    start_on_damage(rig, offsetof(struct flight_head, sizes), &other, sizeof other);
    assert_string_equal(rig->refused_why, "it is of another version of warren");
}

/* One that lies there empty, as after a crash of the machine, and one that is no file at all. */
static void things_that_are_no_recorders(void **state)
{
    struct rig *rig = *state;
    struct flight_file file;
    char name[512];
    char other[600];

    create(rig, KEY, &file);
    assert_int_equal(entries(rig, false, name), 1);
    snprintf(other, sizeof other, "%s.x", name);
    close(open(other, O_WRONLY | O_CREAT, 0600));
    snprintf(other, sizeof other, "%s.y", name);
    assert_int_equal(symlink("/etc/passwd", other), 0);
    snprintf(other, sizeof other, "%s/unrelated", rig->directory);
    close(open(other, O_WRONLY | O_CREAT, 0600));
    flight_file_close(&file, true);
    create(rig, KEY, &file);
    assert_int_equal(rig->adopted, 0);
    assert_int_equal(entries(rig, false, NULL), 3); /* its own, the link, the unrelated one */
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    flight_file_close(&file, true);
}

/* The last part of the path is made, and only that; what cannot be made is told. What is made is
 * for its owner alone. */
static void the_directory_is_made(void **state)
{
    struct rig *rig = *state;
    struct warren_error error = {WARREN_OK, ""};
    struct flight_file file;
    char path[128];
    struct stat info;
    mode_t before = umask(0);

    snprintf(path, sizeof path, "%s/state", rig->directory);
    assert_int_equal(create_in(rig, path, KEY, &file, &error), WARREN_OK);
    umask(before);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(file.path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    flight_file_close(&file, true);
    rmdir(path);
    snprintf(path, sizeof path, "%s/a/b", rig->directory);
    assert_int_equal(create_in(rig, path, KEY, &file, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, "No such file or directory"));
}

/* A directory in which nothing can be made, even by root; and something that is none. */
static void a_directory_that_cannot_be_written(void **state)
{
    struct rig *rig = *state;
    struct warren_error error = {WARREN_OK, ""};
    struct flight_file file;
    char path[128];

    assert_int_equal(create_in(rig, "/proc", KEY, &file, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "state_dir /proc: cannot make a file: "));
    snprintf(path, sizeof path, "%s/file", rig->directory);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(create_in(rig, path, KEY, &file, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, "Not a directory"));
}

/* Without room for all of it there is none, and nothing stays behind. */
static void a_disk_that_is_full(void **state)
{
    struct rig *rig = *state;
    struct warren_error error = {WARREN_OK, ""};
    struct flight_file file;
    struct rlimit before;
    struct rlimit little;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = (struct rlimit){4096, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_int_equal(create_in(rig, rig->directory, KEY, &file, &error), WARREN_EIO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_non_null(strstr(error.text, rig->directory));
    assert_non_null(strstr(error.text, "bytes: File too large"));
    assert_int_equal(entries(rig, false, NULL), 0);
}

/* In memory it is the same, and can be read by its descriptor. */
static void memory_is_handed_on(void **state)
{
    struct flight_file file;
    struct flight_file read;

    (void)state;
    assert_int_equal(flight_file_memory(&shape, KEY, &file, NULL), WARREN_OK);
    file.notes[3].failed = 9;
    assert_null(flight_file_read(dup(file.fd), KEY, &read));
    assert_int_equal(read.notes[3].failed, 9);
    flight_file_close(&read, false);
    flight_file_close(&file, true);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_next_one_takes_over),
        T(others_are_left_alone),
        T(an_old_one_of_others_is_removed),
        T(files_of_other_names_stay),
        T(memory_that_outlives_its_process),
        T(another_key_is_another_name),
        T(another_key_in_memory),
        T(another_key_for_what_is_gone),
        T(damaged_files_are_harmless),
        T(things_that_are_no_recorders),
        T(what_is_damaged_is_told_of),
        T(another_version_is_told_of),
        T(a_directory_that_cannot_be_written),
        T(a_disk_that_is_full),
        T(the_directory_is_made),
        cmocka_unit_test(memory_is_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
