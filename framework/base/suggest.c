/* suggest.c - optimal string alignment distance over three rows. */
#include "base/suggest.h"

#include <stdbool.h>
#include <string.h>

/** Longer words are no names; they get no suggestion. */
#define SUGGEST_WORD_MAX 64

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][SUGGEST_WORD_MAX + 1];

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *above2 = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = a[i - 1] == b[j - 1] ? 0 : 1;

            row[j] = min_of(above[j] + 1, row[j - 1] + 1);
            row[j] = min_of(row[j], above[j - 1] + change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min_of(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *suggest(const char *word, const char *const *words, size_t count)
{
    size_t len = strlen(word);
    const char *nearest = NULL;
    unsigned nearest_distance = 0;

    if (len > SUGGEST_WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other_len = strlen(words[i]);
        unsigned d;

        if (other_len > SUGGEST_WORD_MAX)
            continue;
        d = distance(word, len, words[i], other_len);
        if (d * 3 <= len && (!nearest || d < nearest_distance)) {
            nearest = words[i];
            nearest_distance = d;
        }
    }
    return nearest;
}

/* ---- lists of words in one text ---- */

size_t choices_next(const char **choices, const char **ret_word)
{
    size_t len = strcspn(*choices, "|");

    *ret_word = *choices;
    *choices += len + ((*choices)[len] == '|');
    return len;
}

int choices_find(const char *choices, const char *word)
{
    const char *choice;
    size_t len;

    for (int place = 0; (len = choices_next(&choices, &choice)) > 0; place++) {
        bool begins = len > 3 && memcmp(choice + len - 3, "...", 3) == 0;

        if (begins ? strncmp(word, choice, len - 3) == 0
                   : strlen(word) == len && memcmp(word, choice, len) == 0)
            return place;
    }
    return -1;
}
