/* files_before.h - files that warren 0.1.0 made, in tests/data: they are copied, for who opens one
 * changes it.
 */
#ifndef FILES_BEFORE_H
#define FILES_BEFORE_H

#include "store_rig.h"

/** Put a copy of @name at the rig's path. */
static inline void copy_file_before(const struct rig *rig, const char *name)
{
    char bytes[4096];
    char path[512];
    FILE *from;
    FILE *to;
    size_t len;

    snprintf(path, sizeof path, WARREN_SOURCE_DIR "/tests/data/%s", name);
    from = fopen(path, "re");
    to = fopen(rig->path, "we");
    assert_non_null(from);
    assert_non_null(to);
    while ((len = fread(bytes, 1, sizeof bytes, from)) > 0)
        assert_int_equal(fwrite(bytes, 1, len, to), len);
    fclose(from);
    assert_int_equal(fclose(to), 0);
}

#endif
