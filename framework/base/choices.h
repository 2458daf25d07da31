/* choices.h - lists of words in one text, such as "pause|retry|dead-letter". Thread: any. */
#ifndef WARREN_BASE_CHOICES_H
#define WARREN_BASE_CHOICES_H

/** @return the place of @word in @choices, from 0 on; -1: it is none of them */
int choices_find(const char *choices, const char *word);

#endif
