/* test_command_new.c - `warren new`: names, what is made, and that a mistake leaves nothing behind.
 * What is made is built and run by tests/package/new.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "command/project/project_name.h"
#include "command_rig.h"

static char home[] = "/tmp/warren-new-XXXXXX";

/* Each test begins in an empty folder. */
static int enter(void **state)
{
    (void)state;
    strcpy(home + strlen(home) - 6, "XXXXXX");
    return mkdtemp(home) && chdir(home) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    char *line;
    int status;

    (void)state;
    if (chdir("/") != 0 || asprintf(&line, "rm -rf %s", home) < 0)
        return -1;
    status = system(line);
    free(line);
    return status;
}

static size_t entries(const char *path)
{
    DIR *folder = opendir(path);
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2;
}

/* The whole file; ends with a NUL. Released by the caller. */
static char *text_of(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, TEXT_MAX);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, TEXT_MAX - 1, file) > 0);
    fclose(file);
    return text;
}

static void assert_file_has(const char *path, const char *part)
{
    char *text = text_of(path);

    if (!strstr(text, part))
        fail_msg("%s lacks \"%s\":\n%s", path, part, text);
    free(text);
}

static void names(void **state)
{
    static const struct {
        const char *text;
        const char *near; /* the text itself: it is valid; NULL: nothing is near */
    } table[] = {
        {"mails", "mails"},
        {"a", "a"},
        {"v2_b", "v2_b"},
        {"int", "int"},
        {"test", "test"},
        {"My-Handler", "my_handler"},
        {"2fast", "fast"},
        {"_x", "x"},
        {"a b..c", "a_b_c"},
        {"../my-dir/Mails/", "mails"},
        {"caf\xc3\xa9", "caf"},
        {"x-", "x"},
        {"", NULL},
        {"42", NULL},
        {"/", NULL},
        {"--", NULL},
    };
    char near[PROJECT_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *text = table[i].text;
        bool valid = table[i].near && strcmp(text, table[i].near) == 0;

        assert_int_equal(project_name_is_valid(text), valid);
        assert_int_equal(project_name_suggest(text, near), table[i].near != NULL);
        if (table[i].near)
            assert_string_equal(near, table[i].near);
    }
    assert_true(project_name_is_valid("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    assert_false(project_name_is_valid("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void a_project_in_c(void **state)
{
    static const char *const files[] = {
        "mails.c",    "test_mails.c", "CMakeLists.txt", "Makefile",   "worker.yaml",
        "Dockerfile", "compose.yaml", "README.md",      ".gitignore", ".dockerignore"};
    const size_t count = sizeof files / sizeof files[0];
    struct stat status;

    (void)state;
    umask(027);
    assert_int_equal(RUN("new", "mails"), CLI_OK);
    umask(022);
    assert_has(out, "cd mails\n");
    assert_has(out, "make test");
    assert_string_equal(err, "");
    assert_int_equal(entries("."), 1);
    assert_int_equal(entries("mails"), count);
    assert_int_equal(stat("mails", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
    assert_int_equal(chdir("mails"), 0);
    for (size_t i = 0; i < count; i++) {
        static const char *const left[] = {"@NAME@", "@LANGUAGE@", "@STANDARD@", "@SUFFIX@",
                                           "@VERSION@"};
        char *text = text_of(files[i]);

        for (size_t j = 0; j < sizeof left / sizeof left[0]; j++)
            if (strstr(text, left[j]))
                fail_msg("%s has %s", files[i], left[j]);
        free(text);
    }
    assert_file_has("worker.yaml", "guest:guest@127.0.0.1:5672/");
    assert_file_has("worker.yaml", "handler: mails.handle\n");
    assert_file_has("CMakeLists.txt", "find_package(warren " WARREN_VERSION " REQUIRED)");
    assert_file_has("Dockerfile", "/src/mails.so /etc/warren/\n");
    assert_int_equal(chdir(".."), 0);
}

static void a_project_in_cpp_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(mkdir("work", 0755), 0);
    assert_int_equal(RUN("new", "--lang", "c++", "-d", "work/other//", "mails"), CLI_OK);
    assert_has(out, "cd work/other\n");
    assert_int_equal(entries("work"), 1);
    assert_file_has("work/other/mails.cpp", "WARREN_CPP_PLUGIN(\"mails\"");
    assert_file_has("work/other/test_mails.cpp", "\"mails.handle\"");
    assert_file_has("work/other/CMakeLists.txt", "set(CMAKE_CXX_STANDARD 17)");
    assert_int_equal(access("work/other/mails.c", F_OK), -1);
}

/* What is there stays as it is, be it a folder, a file, or a link to nothing. */
static void what_exists_is_left(void **state)
{
    static const char *const dirs[] = {"folder", "file", "link", "/", "."};

    (void)state;
    assert_int_equal(mkdir("folder", 0755), 0);
    assert_int_equal(close(open("file", O_CREAT | O_WRONLY, 0644)), 0);
    assert_int_equal(symlink("nowhere", "link"), 0);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        assert_int_equal(RUN("new", "mails", "--dir", dirs[i]), CLI_USAGE);
        assert_has(err, "exists, and is left as it is");
        assert_string_equal(out, "");
    }
    assert_int_equal(RUN("new", "folder"), CLI_USAGE);
    assert_has(err, "error: folder exists");
    assert_int_equal(entries("."), 3);
    assert_int_equal(entries("folder"), 0);
}

static void a_name_that_is_none(void **state)
{
    (void)state;
    assert_int_equal(RUN("new", "My-Handler"), CLI_USAGE);
    assert_has(err, "\"My-Handler\" is no name: it has a-z, 0-9 and _, a letter first, at most 40 "
                    "of them, such as my_handler\n");
    assert_int_equal(RUN("new", "../mails"), CLI_USAGE);
    assert_has(err, "such as mails; its folder is named with --dir");
    assert_int_equal(RUN("new", "42"), CLI_USAGE);
    assert_has(err, "such as mails");
    assert_int_equal(RUN("new", ""), CLI_USAGE);
    assert_int_equal(RUN("new"), CLI_USAGE);
    assert_has(err, "what is it called?");
    assert_int_equal(RUN("new", "one", "two"), CLI_USAGE);
    assert_has(err, "unexpected \"two\": one project at a time");
    assert_int_equal(RUN("new", "mails", "--dir="), CLI_USAGE);
    assert_int_equal(entries("."), 0);
}

/* A name is shown without what a terminal would obey. */
static void a_name_with_a_line_in_it(void **state)
{
    (void)state;
    assert_int_equal(RUN("new", "a\nb\033[1m"), CLI_USAGE);
    assert_has(err, "error: \"a?b?[1m\" is no name");
    assert_int_equal(entries("."), 0);
}

/* One of 10,000 bytes, wherever it stands, is not printed whole. */
static void a_long_word_is_cut(void **state)
{
    static char word[10001] = "--";
    static const char cut[] = "xxxxx...";

    (void)state;
    memset(word + 2, 'x', sizeof word - 3);
    assert_int_equal(RUN("new", word + 2), CLI_USAGE);
    assert_has(err, "xxxxx...\" is no name: ");
    assert_true(strlen(err) < 400);
    assert_int_equal(RUN("new", "mails", word + 2), CLI_USAGE);
    assert_has(err, cut);
    assert_true(strlen(err) < 400);
    assert_int_equal(RUN("new", "mails", word), CLI_USAGE);
    assert_has(err, cut);
    assert_true(strlen(err) < 400);
    assert_int_equal(RUN("new", "mails", "--lang", word + 2), CLI_USAGE);
    assert_has(err, cut);
    assert_true(strlen(err) < 400);
    memcpy(word + 2 + CLI_WORD_SIZE - 5, "\xc3\xa9", 2); /* a character is not cut in two */
    assert_int_equal(RUN("new", word + 2), CLI_USAGE);
    assert_has(err, "xxxxx...\" is no name: ");
    assert_int_equal(entries("."), 0);
}

/* In a folder whose name make and CMake do not bear nothing is made, nor below one. */
static void a_folder_that_nothing_is_built_in(void **state)
{
    static const char *const dirs[] = {"a#b",  "$HOME", "a\"b", "a;b", "a:b", "a%b",
                                       "a[b]", "a\\b",  "a|b",  "a?b", "a*",  "`a`"};

    (void)state;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        assert_int_equal(RUN("new", "mails", "--dir", dirs[i]), CLI_USAGE);
        assert_has(err, dirs[i]);
        assert_has(err, "in its name nothing could be built in it: name another folder with --dir");
    }
    assert_int_equal(RUN("new", "mails", "--dir", "a\nb"), CLI_USAGE);
    assert_has(err, "has a control character in its name");
    assert_int_equal(entries("."), 0);
    assert_int_equal(mkdir("a#b", 0700), 0);
    assert_int_equal(chdir("a#b"), 0);
    assert_int_equal(RUN("new", "mails"), CLI_USAGE);
    assert_has(err, "/a#b: with # in its name");
    assert_int_equal(entries("."), 0);
    assert_int_equal(chdir(".."), 0);
    assert_int_equal(RUN("new", "mails", "--dir", "it's a blank"), CLI_OK);
}

/* What cannot be told has not happened: a failure leaves nothing behind. */
static void a_report_that_cannot_be_written(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int before = dup(STDOUT_FILENO);
    const char *argv[] = {"warren", "new", "mails", NULL};
    int status;

    (void)state;
    assert_true(full >= 0);
    fflush(NULL);
    dup2(full, STDOUT_FILENO);
    status = commands_main(3, argv);
    dup2(before, STDOUT_FILENO);
    clearerr(stdout);
    close(before);
    close(full);
    assert_int_equal(status, CLI_FAILED);
    assert_int_equal(entries("."), 0);
}

static void a_language_that_is_none(void **state)
{
    (void)state;
    assert_int_equal(RUN("new", "mails", "--lang", "cpp"), CLI_USAGE);
    assert_has(err, "--lang: there is no language \"cpp\"; did you mean c++?");
    assert_int_equal(RUN("new", "mails", "--lang", "C"), CLI_USAGE);
    assert_has(err, "did you mean c?");
    assert_int_equal(RUN("new", "mails", "--lang", "rust"), CLI_USAGE);
    assert_has(err, "there is no language \"rust\": c or c++");
    assert_int_equal(entries("."), 0);
}

static void a_folder_that_cannot_be_made(void **state)
{
    char longest[4200];

    (void)state;
    assert_int_equal(RUN("new", "mails", "--dir", "no/such"), CLI_USAGE);
    assert_has(err, "cannot make the folder no/such: No such file or directory");
    assert_int_equal(close(open("file", O_CREAT | O_WRONLY, 0644)), 0);
    assert_int_equal(RUN("new", "mails", "--dir", "file/mails"), CLI_USAGE);
    assert_has(err, "Not a directory");
    assert_int_equal(mkdir("closed", 0555), 0);
    assert_int_equal(chmod(home, 0755), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0); /* root may write everywhere */
    assert_int_equal(RUN("new", "mails", "--dir", "closed/mails"), CLI_USAGE);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_has(err, "cannot make the folder closed/mails: Permission denied");
    assert_int_equal(entries("closed"), 0);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(RUN("new", "mails", "--dir", longest), CLI_USAGE);
    assert_has(err, "cannot make the folder xxx");
    assert_int_equal(entries("."), 2);
}

/* A disk that is full in the middle: nothing half done stays. */
static void a_file_that_cannot_be_written(void **state)
{
    struct rlimit before;
    struct rlimit little;

    (void)state;
    signal(SIGXFSZ, SIG_IGN); /* as main() does */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = 600; /* the error fits, CMakeLists.txt does not */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_int_equal(RUN("new", "mails"), CLI_FAILED);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_has(err, "cannot write mails/");
    assert_has(err, ": File too large");
    assert_string_equal(out, "");
    assert_int_equal(entries("."), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test_setup_teardown(a_project_in_c, enter, leave),
        cmocka_unit_test_setup_teardown(a_project_in_cpp_elsewhere, enter, leave),
        cmocka_unit_test_setup_teardown(what_exists_is_left, enter, leave),
        cmocka_unit_test_setup_teardown(a_name_that_is_none, enter, leave),
        cmocka_unit_test_setup_teardown(a_name_with_a_line_in_it, enter, leave),
        cmocka_unit_test_setup_teardown(a_long_word_is_cut, enter, leave),
        cmocka_unit_test_setup_teardown(a_folder_that_nothing_is_built_in, enter, leave),
        cmocka_unit_test_setup_teardown(a_report_that_cannot_be_written, enter, leave),
        cmocka_unit_test_setup_teardown(a_language_that_is_none, enter, leave),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_made, enter, leave),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_written, enter, leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
