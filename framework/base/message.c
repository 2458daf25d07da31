/* message.c - reading tables, and the names of field types. */
#include <warren/message.h>

const struct warren_value *warren_table_get(const struct warren_table *table, const char *name)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i].value;
    return NULL;
}

const char *warren_type_name(enum warren_type type)
{
    static const struct {
        enum warren_type type;
        const char *name;
    } names[] = {
        {WARREN_VOID, "void"},     {WARREN_BOOL, "bool"},
        {WARREN_I8, "i8"},         {WARREN_U8, "u8"},
        {WARREN_I16, "i16"},       {WARREN_U16, "u16"},
        {WARREN_I32, "i32"},       {WARREN_U32, "u32"},
        {WARREN_I64, "i64"},       {WARREN_F32, "f32"},
        {WARREN_F64, "f64"},       {WARREN_DECIMAL, "decimal"},
        {WARREN_STRING, "string"}, {WARREN_BYTES, "bytes"},
        {WARREN_ARRAY, "array"},   {WARREN_TIMESTAMP, "timestamp"},
        {WARREN_TABLE, "table"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].type == type)
            return names[i].name;
    return "unknown";
}
