#include "support/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/test.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

/* WARREN_TEST_FILTER=PATTERN: of a program's tests only those, for whoever looks for a fault. */
static void __attribute__((constructor)) take_filter(void)
{
    const char *pattern = getenv("WARREN_TEST_FILTER");

    if (pattern)
        cmocka_set_test_filter(pattern);
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void rest_ms(int64_t ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    nanosleep(&rest, NULL);
}

void rest_since(int64_t since_ms)
{
    int64_t step_ms = (now_ms() - since_ms) / 8;

    rest_ms(step_ms < 2 ? 2 : step_ms > 25 ? 25 : step_ms);
}

bool wait_until(bool (*condition)(void *user), void *user, int64_t ms)
{
    return WAIT_FOR(condition(user), ms);
}

int slowness(void)
{
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
    return 6;
#elif defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
    return 3;
#else
    return 1;
#endif
}

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "test support: %s: %s\n", what, strerror(errno));
    abort();
}

char *text(const char *format, ...)
{
    char *result = NULL;
    va_list arguments;

    va_start(arguments, format);
    check(vasprintf(&result, format, arguments) >= 0, "text");
    va_end(arguments);
    return result;
}

char *unique_name(const char *base)
{
    static atomic_uint next;

    return text("%s-%d-%u", base, (int)getpid(), atomic_fetch_add(&next, 1));
}

char *scratch_new(void)
{
    char *directory = text("%s/scratch-XXXXXX", WARREN_BINARY_DIR);

    check(mkdtemp(directory) != NULL, directory);
    return directory;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void scratch_free(char *directory)
{
    if (!directory)
        return;
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(directory);
}

char *write_file(const char *directory, const char *name, const char *content)
{
    char *path = text("%s/%s", directory, name);
    FILE *file = fopen(path, "we");

    check(file != NULL, path);
    check(fputs(content, file) >= 0, path);
    check(fclose(file) == 0, path);
    return path;
}

char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "re");
    char *content = NULL;
    size_t size = 0;
    FILE *out;
    char piece[4096];
    size_t got;

    if (!file)
        return NULL;
    out = open_memstream(&content, &size);
    check(out != NULL, path);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        fwrite(piece, 1, got, out);
    fclose(out);
    fclose(file);
    if (length)
        *length = size;
    return content;
}

size_t count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    size_t count = 0;
    int c;

    if (!file)
        return 0;
    while ((c = getc_unlocked(file)) != EOF)
        count += c == '\n';
    fclose(file);
    return count;
}
