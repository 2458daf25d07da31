/* token.c - see token.h. */
#include "http/token.h"

#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/input_file.h"

static bool hash(const char *text, uint8_t result[32])
{
    return EVP_Digest(text, strlen(text), result, NULL, EVP_sha256(), NULL) == 1;
}

/* @return the number of bytes, at most HTTP_TOKEN_MAX + 1; -1: it cannot be read, see @ret_why */
static ssize_t read_all(const char *file, char text[HTTP_TOKEN_MAX + 1], const char **ret_why)
{
    int fd = input_file_open(file, ret_why);
    size_t len = 0;
    ssize_t got = 1;

    if (fd < 0)
        return -1;
    *ret_why = "it is no regular file";
    while (len <= HTTP_TOKEN_MAX && got > 0) {
        got = read(fd, text + len, HTTP_TOKEN_MAX + 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return got < 0 ? -1 : (ssize_t)len;
}

enum warren_status http_token_read(const char *file, char text[HTTP_TOKEN_MAX + 1],
                                   struct warren_error *error)
{
    const char *why = "";
    ssize_t read = read_all(file, text, &why);
    size_t len = 0;

    if (read < 0)
        return error_set(error, WARREN_ECONFIG, "cannot read the token file \"%s\": %s", file, why);
    while (len < (size_t)read && text[len] != '\n')
        len++;
    if (len > HTTP_TOKEN_MAX)
        return error_set(error, WARREN_ECONFIG,
                         "the token file \"%s\" has a first line of more than %d bytes", file,
                         HTTP_TOKEN_MAX);
    while (len > 0 && ascii_is_space(text[len - 1]))
        len--;
    text[len] = '\0';
    if (len == 0)
        return error_set(error, WARREN_ECONFIG,
                         "the token file \"%s\" is empty: its first line is to be the token", file);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] == 0x7f)
            return error_set(error, WARREN_ECONFIG,
                             "the token file \"%s\" has something in its first line that is no "
                             "printed character of ASCII, or is a space",
                             file);
    return WARREN_OK;
}

enum warren_status http_token_load(const char *file, struct http_token *ret,
                                   struct warren_error *error)
{
    char text[HTTP_TOKEN_MAX + 1];
    enum warren_status status = http_token_read(file, text, error);

    if (status == WARREN_OK && !hash(text, ret->hash))
        status = error_set(error, WARREN_ENOMEM, "no memory to hash the token");
    explicit_bzero(text, sizeof text);
    return status;
}

bool http_token_is_known(const struct http_token *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    uint8_t given[32];

    if (!authorization || !ascii_same_n(authorization, scheme, sizeof scheme - 1))
        return false;
    authorization += sizeof scheme - 1;
    authorization += strspn(authorization, " ");
    return hash(authorization, given) && CRYPTO_memcmp(given, token->hash, sizeof given) == 0;
}
