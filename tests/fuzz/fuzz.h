/* fuzz.h - what the targets share. A target is LLVMFuzzerTestOneInput(): bytes that somebody forged
 * go in, and nothing but an error may come out. libFuzzer runs it (scripts/test fuzz), or driver.c.
 */
#ifndef WARREN_TESTS_FUZZ_H
#define WARREN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/** @return 0. The target aborts where a promise does not hold. Thread: one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A file in memory with these bytes, for what reads files; FUZZ_FILE is its path. The same one
 * each time. @return its descriptor */
int fuzz_file(const uint8_t *data, size_t size);
/** Its path. */
const char *fuzz_path(void);

/** Stop here, with @what, unless @good. */
void fuzz_expect(int good, const char *what);

#endif
