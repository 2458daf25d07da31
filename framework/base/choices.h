/* choices.h - lists of words in one text, such as "pause|retry|dead-letter". Thread: any. */
#ifndef WARREN_BASE_CHOICES_H
#define WARREN_BASE_CHOICES_H

#include <stddef.h>

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
