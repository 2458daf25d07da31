#include "support/stored.h"

#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

/* The worker writes all the time. */
#define BUSY_MS 5000

char *stored_text(const struct worker *worker, const char *sql)
{
    char *path = worker_path(worker, "store.db");
    sqlite3_stmt *statement = NULL;
    sqlite3 *sqlite = NULL;
    char *answer = NULL;

    if (sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(sqlite, BUSY_MS) == SQLITE_OK &&
        sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
        answer = strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(sqlite);
    free(path);
    return answer;
}

int64_t stored_number(const struct worker *worker, const char *sql)
{
    char *answer = stored_text(worker, sql);
    int64_t number = answer ? strtoll(answer, NULL, 10) : -1;

    free(answer);
    return number;
}
