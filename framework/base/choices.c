/* choices.c - see choices.h. */
#include "base/choices.h"

#include <string.h>

int choices_find(const char *choices, const char *word)
{
    size_t word_len = strlen(word);

    for (int place = 0; *choices; place++) {
        size_t len = strcspn(choices, "|");

        if (len == word_len && memcmp(word, choices, len) == 0)
            return place;
        choices += len + (choices[len] == '|');
    }
    return -1;
}
