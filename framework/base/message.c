/* message.c - reading tables. */
#include <warren/message.h>

const struct warren_value *warren_table_get(const struct warren_table *table, const char *name)
{
    if (!table || !name)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i].value;
    return NULL;
}
