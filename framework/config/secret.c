#include "config/secret.h"

#include <string.h>

#include "base/ascii.h"

static const char MASK[] = "***";

struct out {
    char *text;
    size_t len;
    size_t size;
};

static void put(struct out *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (out->len + 1 >= out->size) {
            size_t dots = out->size > 4 ? 3 : 0;

            memset(out->text + out->len - dots, '.', dots);
            break;
        }
        out->text[out->len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out->text[out->len] = '\0';
}

const char *config_mask(const char *text, char *text_out, size_t size)
{
    struct out out = {text_out, 0, size};
    const char *at = strrchr(text, '@');
    const char *scheme = strstr(text, "://");

    if (!at) {
        put(&out, text, strlen(text));
        return text_out;
    }
    if (scheme && scheme < at)
        put(&out, text, (size_t)(scheme - text) + 3);
    put(&out, MASK, sizeof MASK - 1);
    put(&out, at, strlen(at));
    return text_out;
}

/* host, host:port or [address]:port, then perhaps a path */
static bool is_plain_authority(const char *text)
{
    if (*text == '[') {
        text += strcspn(text, "]");
        text += *text == ']';
    } else {
        while (ascii_is_alnum(*text) || *text == '.' || *text == '-' || *text == '_')
            text++;
    }
    if (*text == ':')
        for (text++; ascii_is_digit(*text); text++)
            ;
    return !*text || *text == '/';
}

const char *config_mask_uri(const char *text, char *text_out, size_t size)
{
    const char *scheme = strstr(text, "://");
    struct out out = {text_out, 0, size};

    if (strchr(text, '@') || (scheme && is_plain_authority(scheme + 3)))
        return config_mask(text, text_out, size);
    if (scheme)
        put(&out, text, (size_t)(scheme - text) + 3);
    put(&out, MASK, sizeof MASK - 1);
    return text_out;
}

bool config_key_is_secret(const char *key)
{
    static const char *const words[] = {"password", "passwd",  "passphrase", "secret",
                                        "token",    "api_key", "apikey",     "credential"};
    size_t len = strlen(key);

    if (len > 5 && strcmp(key + len - 5, "_file") == 0)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (ascii_has(key, words[i]))
            return true;
    return false;
}
