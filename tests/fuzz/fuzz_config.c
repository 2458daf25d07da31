/* fuzz_config.c - a YAML file, as far as it can be checked without its plugins. */
#include <stdio.h>

#include "config/config.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const environment[] = {NULL};
    struct config *config;
    struct warren_error error;

    fuzz_file(data, size);
    if (config_load(fuzz_path(), environment, NULL, 0, &config, &error) == WARREN_OK)
        config_free(config);
    else
        fuzz_expect(error.text[0] != '\0', "an error with words");
    return 0;
}
