/* driver.c - runs a target where there is no libFuzzer: on each file of its corpus, then on so many
 * changed ones. The changes are the same in each run, so a failure can be had again.
 *
 * usage: fuzz_TARGET CORPUS_DIRECTORY RUNS
 * On a crash the input is in the file fuzz_TARGET.crash. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "fuzz/fuzz.h"

/* A sanitizer ends the process without a signal. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

#define SEEDS_MAX 256
#define INPUT_MAX ((size_t)1 << 20)

struct seed {
    uint8_t *data;
    size_t size;
};

static struct seed seeds[SEEDS_MAX];
static size_t seed_count;
static uint8_t input[INPUT_MAX];
static size_t input_size;
static char crash_path[512];
static struct random numbers;

/* Async-signal-safe. */
static void keep_input(void)
{
    int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t ignored = fd >= 0 ? write(fd, input, input_size) : 0;

    (void)ignored;
}

static void on_fault(int number)
{
    keep_input();
    signal(number, SIG_DFL);
    raise(number);
}

static void run(void)
{
    /* Of exactly this size, so that a sanitizer sees each byte too far. */
    uint8_t *data = malloc(input_size ? input_size : 1);

    fuzz_expect(data != NULL, "memory");
    memcpy(data, input, input_size);
    LLVMFuzzerTestOneInput(data, input_size);
    free(data);
}

static void read_seed(const char *directory, const char *name)
{
    struct seed *seed = &seeds[seed_count];
    char path[1024];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "rb");
    fuzz_expect(file != NULL, path);
    seed->size = fread(input, 1, INPUT_MAX, file);
    fclose(file);
    seed->data = malloc(seed->size ? seed->size : 1);
    fuzz_expect(seed->data != NULL, "memory");
    memcpy(seed->data, input, seed->size);
    input_size = seed->size;
    seed_count++;
    run();
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_seeds(const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, by_name);

    fuzz_expect(count >= 0, directory);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && seed_count < SEEDS_MAX)
            read_seed(directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static size_t below(size_t bound)
{
    return bound ? (size_t)(random_u64(&numbers) % bound) : 0;
}

/* Numbers at which sizes, lengths and times go wrong. */
static uint64_t edge(void)
{
    static const uint64_t edges[] = {0,          1,          0x7f,       0x80,      0xff,
                                     0x100,      0x7fff,     0xffff,     0x10000,   0x20000000,
                                     0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, UINT64_MAX};

    return edges[below(sizeof edges / sizeof *edges)];
}

static void overwrite(void)
{
    size_t width = (size_t)1 << below(4);
    uint64_t number = below(2) ? edge() : random_u64(&numbers);
    size_t at = below(input_size);

    for (size_t i = 0; i < width && at + i < input_size; i++)
        input[at + i] = (uint8_t)(number >> (8 * (width - 1 - i)));
}

static void cut(void)
{
    size_t at = below(input_size);
    size_t len = below(input_size - at + 1);

    if (below(4) == 0) {
        input_size = at;
        return;
    }
    memmove(input + at, input + at + len, input_size - at - len);
    input_size -= len;
}

/* A piece of this or another seed, put in somewhere, perhaps many times. */
static void insert(void)
{
    const struct seed *from = &seeds[below(seed_count)];
    size_t begin = below(from->size);
    size_t len = below((from->size - begin < 64 ? from->size - begin : 64) + 1);
    size_t times = below(8) ? 1 : below(2000);
    size_t at = below(input_size + 1);

    for (; times > 0 && input_size + len <= INPUT_MAX; times--) {
        memmove(input + at + len, input + at, input_size - at);
        memcpy(input + at, from->data + begin, len);
        input_size += len;
    }
}

static void change(void)
{
    static void (*const ways[])(void) = {overwrite, overwrite, cut, insert};
    const struct seed *seed = &seeds[below(seed_count)];

    memcpy(input, seed->data, seed->size);
    input_size = seed->size;
    for (size_t times = 1 + below(6); times > 0; times--) {
        if (input_size > 0 || seed->size > 0)
            ways[input_size == 0 ? 3 : below(4)]();
    }
}

int main(int argc, char **argv)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    unsigned long runs = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    if (argc != 3) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY RUNS\n", argv[0]);
        return 2;
    }
    snprintf(crash_path, sizeof crash_path, "%s.crash", argv[0]);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        signal(faults[i], on_fault);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);
    random_init(&numbers, 4711);
    read_seeds(argv[1]);
    fuzz_expect(seed_count > 0, "a corpus");
    for (unsigned long i = 0; i < runs; i++) {
        change();
        run();
    }
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].data);
    printf("%zu seeds, %lu changed ones\n", seed_count, runs);
    return 0;
}
