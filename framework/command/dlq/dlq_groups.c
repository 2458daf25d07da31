#include "command/dlq/dlq_groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "command/dlq/dlq_letter.h"

/* ---- what dead letters of one cause have in common ---- */

/* Shorter words of hexadecimal digits are words: "dead", "add", "face". */
#define HEX_MIN 8

static bool is_word(char c)
{
    return ascii_is_alnum(c) || c == '_';
}

/* Bytes of a hexadecimal number or a UUID, whose parts are joined by hyphens; 0: there is none. */
static size_t hex_len(const char *text, size_t len)
{
    bool prefixed = len > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
    size_t digits = 0;
    size_t i = prefixed ? 2 : 0;
    bool decimal = prefixed;

    for (; i < len; i++) {
        bool joint = text[i] == '-' && digits >= 4 && i + 1 < len && ascii_is_xdigit(text[i + 1]) &&
                     !prefixed;

        if (!joint && !ascii_is_xdigit(text[i]))
            break;
        decimal = decimal || ascii_is_digit(text[i]);
        digits += !joint;
    }
    if (i < len && is_word(text[i])) /* a word that begins like one */
        return 0;
    return digits >= (prefixed ? 1 : HEX_MIN) && decimal ? i : 0;
}

static size_t number_len(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && ascii_is_digit(text[i]))
        i++;
    return i;
}

void dlq_fold_error(const char *error, size_t len, char folded[DLQ_ERROR_SIZE])
{
    size_t out = 0;
    size_t i = 0;

    while (len > 0 && ascii_is_space(*error)) {
        error++;
        len--;
    }
    while (i < len && error[i] != '\n' && error[i] != '\r' && out < DLQ_ERROR_SIZE - 1) {
        bool begins = i == 0 || !is_word(error[i - 1]);
        size_t skip = begins ? hex_len(error + i, len - i) : 0;

        if (skip == 0)
            skip = number_len(error + i, len - i);
        if (skip > 0) {
            folded[out++] = '#';
            i += skip;
        } else {
            folded[out++] = ascii_is_cntrl(error[i]) ? ' ' : error[i];
            i++;
        }
    }
    folded[out] = '\0';
}

/* A NUL parts them: "a" "b" is not "ab" "". */
static uint64_t mix(uint64_t hash, struct warren_bytes text)
{
    const unsigned char *p = text.data;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash * UINT64_C(0x100000001b3);
}

void dlq_group(struct warren_bytes reason, struct warren_bytes handler, struct warren_bytes signal,
               const char *folded, char group[DLQ_GROUP_SIZE])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    hash = mix(mix(mix(mix(hash, reason), handler), signal), warren_text(folded));
    snprintf(group, DLQ_GROUP_SIZE, "%08" PRIx32, (uint32_t)(hash ^ hash >> 32));
}

void dlq_groups_init(struct dlq_groups *groups)
{
    memset(groups, 0, sizeof *groups);
    arena_init(&groups->arena);
}

void dlq_groups_done(struct dlq_groups *groups)
{
    arena_done(&groups->arena);
}

static const char *keep(struct dlq_groups *groups, const struct dlq_letter *letter,
                        const char *text)
{
    struct warren_bytes bytes = arena_bytes(letter->texts, text);
    const char *kept = arena_text(&groups->arena, bytes.data, bytes.len);

    return kept ? kept : "";
}

static struct dlq_group *new_group(struct dlq_groups *groups, const struct dlq_letter *letter)
{
    struct dlq_group *group =
        groups->count < DLQ_GROUPS_MAX ? arena_alloc(&groups->arena, sizeof *group) : NULL;

    if (!group)
        return NULL;
    memset(group, 0, sizeof *group);
    memcpy(group->name, letter->group, sizeof group->name);
    memcpy(group->error, letter->folded, sizeof group->error);
    group->reason = keep(groups, letter, letter->reason);
    group->handler = keep(groups, letter, letter->handler);
    group->signal = keep(groups, letter, letter->signal);
    group->example = keep(groups, letter, letter->id);
    groups->items[groups->count++] = group;
    return group;
}

static void widen(int64_t *oldest_s, int64_t died_s)
{
    if (died_s > 0 && (*oldest_s == 0 || died_s < *oldest_s))
        *oldest_s = died_s;
}

void dlq_groups_add(struct dlq_groups *groups, const struct dlq_letter *letter)
{
    struct dlq_group *group = NULL;

    widen(&groups->oldest_s, letter->died_s);
    for (size_t i = 0; i < groups->count && !group; i++)
        if (strcmp(groups->items[i]->name, letter->group) == 0)
            group = groups->items[i];
    if (!group)
        group = new_group(groups, letter);
    if (!group) {
        groups->others++;
        return;
    }
    group->count++;
    widen(&group->oldest_s, letter->died_s);
    if (letter->died_s > group->newest_s)
        group->newest_s = letter->died_s;
}

static int by_count(const void *a, const void *b)
{
    const struct dlq_group *const *first = a;
    const struct dlq_group *const *second = b;

    if ((*first)->count != (*second)->count)
        return (*first)->count < (*second)->count ? 1 : -1;
    return strcmp((*first)->name, (*second)->name);
}

void dlq_groups_sort(struct dlq_groups *groups)
{
    qsort(groups->items, groups->count, sizeof *groups->items, by_count);
}
