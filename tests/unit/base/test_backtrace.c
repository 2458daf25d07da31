/* test_backtrace.c - calls as text, and the symbols of ELF files that may be damaged. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/backtrace.h"
#include "base/symbols.h"
#include "support/test.h"

#define TEXT_SIZE 8192

static __attribute__((noinline)) size_t calls_of_a_static_function(void **calls)
{
    size_t count = backtrace_take(NULL, calls);

    __asm__ volatile("" : : "r"(calls) : "memory"); /* or it would be a jump */
    return count;
}

/* Static functions have names, too, which dladdr() does not know; each call has a line. */
static void calls_have_names(void **state)
{
    void *calls[BACKTRACE_CALLS];
    char text[TEXT_SIZE];
    size_t lines = 0;
    size_t count;
    size_t len;

    (void)state;
    backtrace_prepare();
    count = calls_of_a_static_function(calls);
    assert_true(count >= 3);
    len = backtrace_write(calls, count, text, sizeof text);
    assert_int_equal(len, strlen(text));
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, count);
    assert_non_null(strstr(text, " calls_of_a_static_function+0x"));
    assert_non_null(strstr(text, " calls_have_names+0x"));
    assert_non_null(strstr(text, " (test_backtrace+0x"));
}

/* What has no room is left out by whole lines. */
static void lines_are_not_cut(void **state)
{
    void *calls[BACKTRACE_CALLS];
    char text[TEXT_SIZE];
    char less[TEXT_SIZE];
    size_t count;
    size_t full;

    (void)state;
    count = calls_of_a_static_function(calls);
    full = backtrace_write(calls, count, text, sizeof text);
    for (size_t size = 0; size <= full; size++) {
        size_t len = backtrace_write(calls, count, less, size);

        assert_true(len < (size ? size : 1));
        assert_memory_equal(less, text, len);
        assert_true(len == 0 || less[len - 1] == '\n');
    }
}

/* An address that belongs to no module is written as it is. */
static void an_address_of_nothing(void **state)
{
    void *calls[] = {NULL};
    char text[64];

    (void)state;
    backtrace_write(calls, 1, text, sizeof text);
    assert_string_equal(text, "#0 0x0\n");
}

static void numbers(void **state)
{
    char room[64];
    struct backtrace_text text = {room, sizeof room};

    (void)state;
    backtrace_add_int(&text, INT64_MIN);
    backtrace_add(&text, " ");
    backtrace_add_int(&text, 0);
    backtrace_add(&text, " ");
    backtrace_add_hex(&text, UINT64_MAX);
    assert_string_equal(room, "-9223372036854775808 0 0xffffffffffffffff");
}

static void text_is_cut_to_fit(void **state)
{
    char room[6] = "-----";
    struct backtrace_text text = {room, sizeof room - 1};

    (void)state;
    backtrace_add(&text, "abc");
    backtrace_add(&text, "def");
    backtrace_add(&text, "ghi");
    assert_string_equal(room, "abcd");
    assert_int_equal(room[5], 0);
}

/* ---- damaged files ---- */

static char *copy_program(size_t *ret_size)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    struct stat info;
    char *data;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    data = malloc((size_t)info.st_size);
    assert_non_null(data);
    assert_int_equal(read(fd, data, (size_t)info.st_size), info.st_size);
    close(fd);
    *ret_size = (size_t)info.st_size;
    return data;
}

static void write_program(const char *path, const char *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* Whatever stands in the header or the table of sections, nothing is read outside of the file. */
static void damaged_files_name_nothing(void **state)
{
    char path[] = "/tmp/test_backtrace.XXXXXX";
    struct symbol symbol;
    size_t size;
    char *data = copy_program(&size);
    uint64_t random = 42;

    (void)state;
    close(mkstemp(path));
    for (size_t cut = 0; cut < 512; cut += 7) {
        write_program(path, data, cut);
        assert_false(symbols_find(path, 0x1000, &symbol));
    }
    write_program(path, data, size - size / 4);
    symbols_find(path, 0x1000, &symbol);
    for (int i = 0; i < 200; i++) {
        int fd = open(path, O_WRONLY);
        uint64_t sections;
        off_t at;

        write_program(path, data, size);
        memcpy(&sections, data + 40, sizeof sections); /* e_shoff of ELF64 */
        random = random * 6364136223846793005u + 1442695040888963407u;
        at = i % 2 ? (off_t)(16 + (random >> 33) % 48) : (off_t)(sections + (random >> 33) % 2048);
        assert_int_equal(pwrite(fd, &random, sizeof random, at), (ssize_t)sizeof random);
        close(fd);
        symbols_find(path, 0x1000 + (random >> 40) % 0x10000, &symbol);
    }
    unlink(path);
    free(data);
}

static void files_that_are_none(void **state)
{
    struct symbol symbol;

    (void)state;
    assert_false(symbols_find("/nowhere", 1, &symbol));
    assert_false(symbols_find("/tmp", 1, &symbol));
    assert_false(symbols_find("/dev/null", 1, &symbol));
    assert_false(symbols_find("/etc/passwd", 1, &symbol));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_have_names),      cmocka_unit_test(lines_are_not_cut),
        cmocka_unit_test(an_address_of_nothing), cmocka_unit_test(numbers),
        cmocka_unit_test(text_is_cut_to_fit),    cmocka_unit_test(damaged_files_name_nothing),
        cmocka_unit_test(files_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
