/* census.c - see census.h. */
#include "store/db/census.h"

enum warren_status census_take(struct database *database, struct census *census,
                               struct warren_error *error)
{
    const struct {
        const char *sql;
        int64_t *number;
    } questions[] = {
        {"SELECT count(*) FROM done", &census->done},
        {"SELECT coalesce((SELECT at FROM done ORDER BY id LIMIT 1), 0)", &census->oldest_ms},
        {"SELECT coalesce((SELECT at FROM done ORDER BY id DESC LIMIT 1), 0)", &census->newest_ms},
        {"SELECT count(*) FROM claim", &census->claimed},
        {"SELECT count(*) FROM spool", &census->spooled},
    };
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < sizeof questions / sizeof *questions; i++)
        status = database_number(database, questions[i].sql, questions[i].number, error);
    return status;
}
