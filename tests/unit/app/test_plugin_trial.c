/* test_plugin_trial.c - app/plugin_trial.h; the child is this program, which then loads the plugin.
 * tests/plugins/restless.c has what it does.
 */
#include "app/plugin_trial.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/loader.h"
#include "support/test.h"

#define LONG_MS 20000
/* What ends at once has ended by then, on a machine that is busy. */
#define SOON_MS 9000

struct rig {
    struct process_state begun;
    struct plugin_trial trial;
    char folder[64];
    char path[128];
    unsigned looks_left; /* then the worker ends; 0: it does not */
    int around;          /* begun and not ended */
    unsigned descriptors;
    struct warren_error error;
};

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

static unsigned open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void around(void *user, bool begins)
{
    struct rig *rig = user;

    rig->around += begins ? 1 : -1;
    assert_int_equal(rig->around, begins ? 1 : 0);
}

static bool goes_on(void *user)
{
    struct rig *rig = user;

    return rig->looks_left == 0 || --rig->looks_left > 0;
}

static int setup(void **state)
{
    struct rig *rig = *state = calloc(1, sizeof *rig);

    strcpy(rig->folder, "/tmp/test_plugin_trial.XXXXXX");
    if (!mkdtemp(rig->folder))
        return -1;
    snprintf(rig->path, sizeof rig->path, "%s/restless.so", rig->folder);
    rig->trial = (struct plugin_trial){
        .begun = &rig->begun, .around = around, .goes_on = goes_on, .user = rig};
    rig->descriptors = open_descriptors();
    return process_state_take(&rig->begun) == WARREN_OK ? 0 : -1;
}

/* Whatever happened: nothing of it is left. */
static int teardown(void **state)
{
    struct rig *rig = *state;

    unlink(rig->path);
    rmdir(rig->folder);
    process_state_done(&rig->begun);
    assert_int_equal(rig->around, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(open_descriptors(), rig->descriptors);
    free(rig);
    return 0;
}

/* The caller frees. */
static char *read_all(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "re");
    char *whole = malloc(1 << 20);

    assert_true(file && whole);
    *ret_len = fread(whole, 1, (1 << 20) - 1, file);
    whole[*ret_len] = '\0';
    fclose(file);
    return whole;
}

/* The plugin, with other letters in it. */
static void install(struct rig *rig, const char *mark)
{
    size_t len;
    char *whole = read_all(RESTLESS, &len);
    char *at = memmem(whole, len, "restless-nothing", strlen("restless-nothing"));
    FILE *file;

    unlink(rig->path);
    file = fopen(rig->path, "we");
    assert_true(at && file);
    memcpy(at, mark, strlen(mark));
    assert_int_equal(fwrite(whole, len, 1, file), 1);
    fclose(file);
    free(whole);
}

static enum warren_status try_for(struct rig *rig, int64_t ms, uint8_t content[SIPHASH_SIZE])
{
    int64_t begun_ms = now_ms();
    enum warren_status status;

    rig->trial.until_ms = begun_ms + ms;
    rig->error = (struct warren_error){WARREN_OK, ""};
    status = plugin_try(&rig->trial, rig->path, content, &rig->error);
    assert_true(now_ms() - begun_ms < SOON_MS);
    return status;
}

static void assert_refused(struct rig *rig, const char *mark, int64_t ms, const char *text)
{
    uint8_t content[SIPHASH_SIZE];
    char *whole;

    install(rig, mark);
    assert_int_equal(try_for(rig, ms, content), WARREN_EPLUGIN);
    assert_true(asprintf(&whole, "%s: %s", rig->path, text) > 0);
    assert_string_equal(rig->error.text, whole);
    free(whole);
}

/* One that is right is told by what was loaded, and so is another one. */
static void a_right_one_is_loaded(void **state)
{
    struct rig *rig = *state;
    struct plugin *plugin = NULL;
    uint8_t content[SIPHASH_SIZE];

    install(rig, "restless-nothing");
    assert_int_equal(try_for(rig, LONG_MS, content), WARREN_OK);
    assert_int_equal(plugin_load(rig->path, &plugin, &rig->error), WARREN_OK);
    assert_memory_equal(content, plugin->file.content, SIPHASH_SIZE);
    install(rig, "restless-nothin9");
    assert_int_equal(try_for(rig, LONG_MS, content), WARREN_OK);
    assert_memory_not_equal(content, plugin->file.content, SIPHASH_SIZE);
    plugin_free(plugin);
}

/* The end of the child is not ours, and is told, with what the plugin wrote last. A plugin that
 * prints what the child says is not believed. */
static void one_that_ends_the_process(void **state)
{
    struct rig *rig = *state;

    assert_refused(rig, "restless-crashes", LONG_MS,
                   "loading it ended the process by signal 11 (Segmentation fault) (in a process "
                   "of its own, to find that out): constructors and warren_plugin_entry() are to "
                   "return; it wrote \"restless: here it ends\"");
    assert_refused(rig, "restless-exits-0", LONG_MS,
                   "loading it ended the process with status 0 (in a process of its own, to find "
                   "that out): constructors and warren_plugin_entry() are to return");
    assert_refused(rig, "restless-_exits0", LONG_MS,
                   "loading it ended the process with status 0 (in a process of its own, to find "
                   "that out): constructors and warren_plugin_entry() are to return; it wrote "
                   "\"loaded 00000000000000000000000000000000\"");
    assert_refused(rig, "restless-forges!", LONG_MS,
                   "loading it ended the process with status 0 (in a process of its own, to find "
                   "that out): constructors and warren_plugin_entry() are to return");
}

/* It has its time, also if it does not hear SIGTERM. */
static void one_that_hangs(void **state)
{
    struct rig *rig = *state;

    assert_refused(rig, "restless-sleeps!", 300,
                   "loading it took longer than 1 s (in a process of its own, to find that out): "
                   "constructors and warren_plugin_entry() are to return");
    assert_refused(rig, "restless-deafens", 300,
                   "loading it took longer than 1 s (in a process of its own, to find that out): "
                   "constructors and warren_plugin_entry() are to return");
    assert_refused(rig, "restless-nothing", -1,
                   "loading the plugins before it took longer than 30 s: change fewer of them at "
                   "once");
}

/* A worker that is told to end does not wait for it. */
static void it_can_be_called_off(void **state)
{
    struct rig *rig = *state;
    uint8_t content[SIPHASH_SIZE];

    install(rig, "restless-deafens");
    rig->looks_left = 5;
    assert_int_equal(try_for(rig, LONG_MS, content), WARREN_ECLOSED);
    assert_non_null(strstr(rig->error.text, "the worker ends"));
}

/* What it prints goes nowhere, however much it is. */
static void one_that_writes(void **state)
{
    struct rig *rig = *state;
    uint8_t content[SIPHASH_SIZE];

    install(rig, "restless-writes!");
    assert_int_equal(try_for(rig, LONG_MS, content), WARREN_OK);
}

/* What it starts has the child's output, and ends with the child. */
static void one_that_leaves_a_process(void **state)
{
    struct rig *rig = *state;
    uint8_t content[SIPHASH_SIZE];
    char path[128];
    size_t len;
    char *text;
    int status;

    snprintf(path, sizeof path, "%s/pid", rig->folder);
    setenv("RESTLESS_PID", path, 1);
    process_state_done(&rig->begun);
    assert_int_equal(process_state_take(&rig->begun), WARREN_OK);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    install(rig, "restless-forks!!");
    assert_int_equal(try_for(rig, LONG_MS, content), WARREN_OK);
    text = read_all(path, &len);
    assert_int_equal(waitpid(atoi(text), &status, 0), atoi(text));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    unlink(path);
    free(text);
}

/* What the loader says is what is told. */
static void one_that_is_none(void **state)
{
    struct rig *rig = *state;
    uint8_t content[SIPHASH_SIZE];

    assert_int_equal(try_for(rig, LONG_MS, content), WARREN_EPLUGIN);
    assert_non_null(strstr(rig->error.text, "cannot open the plugin: No such file"));
    install(rig, "restless-nothing");
    assert_int_equal(truncate(rig->path, 3000), 0);
    assert_int_equal(try_for(rig, LONG_MS, content), WARREN_EPLUGIN);
    assert_non_null(strstr(rig->error.text, "cannot load the plugin: it has 3000 bytes"));
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_right_one_is_loaded), TEST(one_that_ends_the_process),
        TEST(one_that_hangs),        TEST(it_can_be_called_off),
        TEST(one_that_writes),       TEST(one_that_leaves_a_process),
        TEST(one_that_is_none),
    };

    if (argc == 4 && strcmp(argv[1], PLUGIN_TRIAL_COMMAND) == 0)
        plugin_trial_child(argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
