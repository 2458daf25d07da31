/* fuzz_uri.c - broker addresses. */
#include <stdlib.h>
#include <string.h>

#include "amqp/net/uri.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char described[2048];
    struct uri uri;
    struct warren_error error;

    fuzz_expect(text != NULL, "memory");
    memcpy(text, data, size);
    text[size] = '\0';
    if (uri_parse(text, &uri, &error) == WARREN_OK) {
        uri_use_empty_path(text, &uri);
        uri_describe(&uri, described, sizeof described);
    }
    free(text);
    return 0;
}
