/* fuzz_dump.c - a dump file. */
#include "command/dump/dump.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dump_message *dump;
    struct warren_error error;

    fuzz_file(data, size);
    if (dump_read(fuzz_path(), &dump, &error) == WARREN_OK)
        dump_free(dump);
    else
        fuzz_expect(error.text[0] != '\0', "an error with words");
    return 0;
}
