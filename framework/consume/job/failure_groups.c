/* failure_groups.c - see failure_groups.h. */
#include "consume/job/failure_groups.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

void failure_groups_init(struct failure_groups *groups)
{
    *groups = (struct failure_groups){.groups = NULL};
    pthread_mutex_init(&groups->lock, NULL);
}

void failure_groups_done(struct failure_groups *groups)
{
    for (size_t i = 0; groups->groups && i < FAILURE_GROUPS; i++)
        free(groups->groups[i].backtrace);
    free(groups->groups);
    pthread_mutex_destroy(&groups->lock);
}

/* A letter, a digit, or what joins those of an id. */
static bool is_of_word(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

void failure_signature(const char *error, char signature[FAILURE_SIGNATURE_SIZE])
{
    size_t at = 0;

    while (*error && at < FAILURE_SIGNATURE_SIZE - 1) {
        size_t len = 0;
        bool digits = false;

        while (error[len] && is_of_word(error[len]))
            digits = ascii_is_digit(error[len++]) || digits;
        if (len == 0) {
            signature[at++] = *error++;
            continue;
        }
        if (digits) {
            signature[at++] = '#';
        } else {
            size_t room = FAILURE_SIGNATURE_SIZE - 1 - at;

            memcpy(signature + at, error, len < room ? len : room);
            at += len < room ? len : room;
        }
        error += len;
    }
    signature[at] = '\0';
}

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

/* Under the lock: that of the same signature; else a free one, or the one that failed longest ago.
 */
static struct failure_group *find(struct failure_groups *groups, const struct failure *failure,
                                  const char *signature)
{
    struct failure_group *oldest = &groups->groups[0];

    for (size_t i = 0; i < FAILURE_GROUPS; i++) {
        struct failure_group *group = &groups->groups[i];

        if (group->id && strcmp(group->signature, signature) == 0 &&
            strcmp(group->queue, failure->queue) == 0 &&
            strcmp(group->handler, failure->handler) == 0 &&
            strcmp(group->reason, failure->reason) == 0)
            return group;
        if (group->last_ms < oldest->last_ms)
            oldest = group;
    }
    groups->forgotten += oldest->id != 0;
    free(oldest->backtrace);
    *oldest = (struct failure_group){.id = ++groups->last_id, .first_ms = failure->at_ms};
    copy(oldest->queue, sizeof oldest->queue, failure->queue);
    copy(oldest->handler, sizeof oldest->handler, failure->handler);
    copy(oldest->reason, sizeof oldest->reason, failure->reason);
    copy(oldest->signature, sizeof oldest->signature, signature);
    return oldest;
}

/* Under the lock: it is the group's latest example. */
static void take(struct failure_group *group, const struct failure *failure)
{
    size_t len = failure->message_id.len;

    group->count++;
    group->last_ms = failure->at_ms;
    group->attempt = failure->attempt;
    copy(group->error, sizeof group->error, failure->error);
    copy(group->signal, sizeof group->signal, failure->signal);
    len = len < sizeof group->message_id ? len : sizeof group->message_id - 1;
    if (len > 0)
        memcpy(group->message_id, failure->message_id.data, len);
    group->message_id[len] = '\0';
    group->message_id_len = len;
    if (failure->backtrace && *failure->backtrace) {
        free(group->backtrace);
        group->backtrace = strndup(failure->backtrace, FAILURE_BACKTRACE_SIZE - 1);
    }
}

void failure_groups_add(struct failure_groups *groups, const struct failure *failure)
{
    char signature[FAILURE_SIGNATURE_SIZE];

    failure_signature(failure->error ? failure->error : "", signature);
    pthread_mutex_lock(&groups->lock);
    if (!groups->groups)
        groups->groups = calloc(FAILURE_GROUPS, sizeof *groups->groups);
    if (groups->groups)
        take(find(groups, failure, signature), failure);
    pthread_mutex_unlock(&groups->lock);
}

static int compare_latest(const void *a, const void *b)
{
    const struct failure_group *const *one = a;
    const struct failure_group *const *other = b;

    if ((*one)->last_ms != (*other)->last_ms)
        return (*one)->last_ms > (*other)->last_ms ? -1 : 1;
    return (*one)->id > (*other)->id ? -1 : 1;
}

uint64_t failure_groups_read(struct failure_groups *groups,
                             void (*show)(void *user, const struct failure_group *group),
                             void *user)
{
    const struct failure_group *all[FAILURE_GROUPS];
    uint64_t forgotten;
    size_t count = 0;

    pthread_mutex_lock(&groups->lock);
    for (size_t i = 0; groups->groups && i < FAILURE_GROUPS; i++)
        if (groups->groups[i].id)
            all[count++] = &groups->groups[i];
    qsort(all, count, sizeof(const struct failure_group *), compare_latest);
    for (size_t i = 0; i < count; i++)
        show(user, all[i]);
    forgotten = groups->forgotten;
    pthread_mutex_unlock(&groups->lock);
    return forgotten;
}
