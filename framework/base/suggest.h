/* suggest.h - "did you mean": the nearest of some words.
 * Damerau-Levenshtein distance (optimal string alignment), at most a third of the word's length.
 */
#ifndef WARREN_BASE_SUGGEST_H
#define WARREN_BASE_SUGGEST_H

#include <stddef.h>

/** The word of @words (@count of them) nearest to @word, or NULL if none is near. */
const char *suggest(const char *word, const char *const *words, size_t count);

/* ---- choices ----
 *
 * lists of words in one text, such as "pause|retry|dead-letter". Thread: any.
 */

/** The word at *@choices, which is moved behind it. @return its length; 0: there is none any more
 */
size_t choices_next(const char **choices, const char **ret_word);

/**
 * One that ends in ..., such as "x-...", stands for all words that begin so.
 *
 * @return the place of @word in @choices, from 0 on; -1: it is none of them
 */
int choices_find(const char *choices, const char *word);

#endif
