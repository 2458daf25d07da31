/* suggest.h - "did you mean": the nearest of some words.
 * Damerau-Levenshtein distance (optimal string alignment), at most a third of the word's length.
 */
#ifndef WARREN_BASE_SUGGEST_H
#define WARREN_BASE_SUGGEST_H

#include <stddef.h>

/** The word of @words (@count of them) nearest to @word, or NULL if none is near. */
const char *suggest(const char *word, const char *const *words, size_t count);

#endif
