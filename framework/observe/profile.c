/* profile.c - see profile.h. */
#include "observe/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/proc.h"
#include "observe/stack_sampler.h"

#define COMM_SIZE 32
#define NAME_SIZE 160
#define BUCKETS   4096

struct stack {
    struct stack *next;
    uint64_t count;
    pid_t thread;
    char comm[COMM_SIZE]; /* its name, when it was seen first */
    size_t call_count;
    void *calls[]; /* innermost first */
};

/* A function has its name looked up once: that reads the module's file. */
struct name {
    struct name *next;
    const void *pc;
    bool innermost;
    char text[NAME_SIZE];
};

struct profile {
    bool (*ended)(void *user);
    void *user;
    struct profile_summary summary;
    uint64_t other;
    struct stack *stacks[BUCKETS];
    struct name *names[BUCKETS];
};

/* ---- counting ---- */

static size_t bucket_of(pid_t thread, void *const *calls, size_t count)
{
    uint64_t hash = (uint64_t)thread;

    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (uintptr_t)calls[i]) * UINT64_C(0x100000001b3);
    return (hash ^ hash >> 32) % BUCKETS;
}

/* What separates lines and frames must not stand in a name. */
static void read_comm(pid_t thread, char comm[COMM_SIZE])
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)thread);
    proc_line(path, "", comm, COMM_SIZE);
    for (char *c = comm; *c; c++)
        if (*c == ';' || (unsigned char)*c < ' ')
            *c = '_';
    if (!*comm)
        snprintf(comm, COMM_SIZE, "thread %d", (int)thread);
}

static struct stack *new_stack(const struct stack_sample *sample)
{
    struct stack *stack = calloc(1, sizeof *stack + sample->call_count * sizeof(void *));

    if (!stack)
        return NULL;
    stack->thread = sample->thread;
    stack->call_count = sample->call_count;
    memcpy(stack->calls, sample->calls, sample->call_count * sizeof(void *));
    read_comm(sample->thread, stack->comm);
    return stack;
}

static void count(void *user, const struct stack_sample *sample)
{
    struct profile *profile = user;
    size_t size = sample->call_count * sizeof(void *);
    struct stack **bucket =
        &profile->stacks[bucket_of(sample->thread, sample->calls, sample->call_count)];
    struct stack *stack = *bucket;

    profile->summary.samples++;
    while (stack && (stack->thread != sample->thread || stack->call_count != sample->call_count ||
                     memcmp(stack->calls, sample->calls, size) != 0))
        stack = stack->next;
    if (!stack && profile->summary.stacks < PROFILE_STACKS && (stack = new_stack(sample))) {
        stack->next = *bucket;
        *bucket = stack;
        profile->summary.stacks++;
    }
    if (stack)
        stack->count++;
    else
        profile->other++;
}

static bool has_ended(void *user)
{
    const struct profile *profile = user;

    return profile->ended && profile->ended(profile->user);
}

/* ---- writing ---- */

static const char *name_of(struct profile *profile, const void *pc, bool innermost)
{
    struct name **bucket = &profile->names[((uintptr_t)pc * 2 + innermost) % BUCKETS];
    struct name *name = *bucket;

    while (name && (name->pc != pc || name->innermost != innermost))
        name = name->next;
    if (name)
        return name->text;
    name = calloc(1, sizeof *name);
    if (!name)
        return "(no memory)";
    name->pc = pc;
    name->innermost = innermost;
    backtrace_name(pc, innermost, name->text, sizeof name->text);
    name->next = *bucket;
    *bucket = name;
    return name->text;
}

static enum warren_status add(struct buffer *folded, const char *text)
{
    return buffer_append(folded, text, strlen(text));
}

static enum warren_status write_stack(struct profile *profile, const struct stack *stack,
                                      struct buffer *folded)
{
    enum warren_status status = add(folded, stack->comm);
    char number[32];

    for (size_t i = stack->call_count; i > 0 && status == WARREN_OK; i--) {
        status = add(folded, ";");
        if (status == WARREN_OK)
            status = add(folded, name_of(profile, stack->calls[i - 1], i == 1));
    }
    snprintf(number, sizeof number, " %llu\n", (unsigned long long)stack->count);
    return status == WARREN_OK ? add(folded, number) : status;
}

static enum warren_status write_all(struct profile *profile, struct buffer *folded)
{
    enum warren_status status = WARREN_OK;
    char line[48];

    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct stack *s = profile->stacks[i]; s && status == WARREN_OK; s = s->next)
            status = write_stack(profile, s, folded);
    if (profile->other == 0 || status != WARREN_OK)
        return status;
    snprintf(line, sizeof line, "(other) %llu\n", (unsigned long long)profile->other);
    return add(folded, line);
}

static void free_profile(struct profile *profile)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct stack *stack = profile->stacks[i];
        struct name *name = profile->names[i];

        while (stack) {
            struct stack *next = stack->next;

            free(stack);
            stack = next;
        }
        while (name) {
            struct name *next = name->next;

            free(name);
            name = next;
        }
    }
    free(profile);
}

enum warren_status profile_take(uint32_t seconds, bool (*ended)(void *user), void *user,
                                struct buffer *folded, struct profile_summary *summary,
                                struct warren_error *error)
{
    struct profile *profile;
    enum warren_status status;

    if (seconds < 1 || seconds > PROFILE_SECONDS_MAX)
        return error_set(error, WARREN_EINVAL, "a profile takes 1 to %d seconds",
                         PROFILE_SECONDS_MAX);
    profile = calloc(1, sizeof *profile);
    if (!profile)
        return error_set(error, WARREN_ENOMEM, "no memory for a profile");
    profile->ended = ended;
    profile->user = user;
    status = stack_sampler_profile((int64_t)seconds * 1000, has_ended, count, profile,
                                   &profile->summary.dropped, error);
    if (status == WARREN_OK) {
        status = write_all(profile, folded);
        if (status != WARREN_OK)
            error_set(error, status, "the profile is too large, or there is no memory for it");
    }
    *summary = profile->summary;
    free_profile(profile);
    return status;
}
