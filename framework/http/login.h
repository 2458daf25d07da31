/* login.h - an address of HTTP that may hold a user and a password, taken apart:
 * http://USER:PASSWORD@HOST:PORT/PATH. And what a request says of them (RFC 7617).
 * Thread: any. Elsewhere: the token of the admin listener (token.h).
 */
#ifndef WARREN_HTTP_LOGIN_H
#define WARREN_HTTP_LOGIN_H

#include <stdbool.h>

#include <warren/status.h>

/** Bytes of a user or a password, and of the address without them; each with a NUL. */
#define HTTP_LOGIN_PART_SIZE 256
#define HTTP_LOGIN_BASE_SIZE 512

struct http_login {
    char base[HTTP_LOGIN_BASE_SIZE]; /* "http://host:15672": without a login, no slash at its end */
    bool has_user;
    bool has_password;
    char user[HTTP_LOGIN_PART_SIZE]; /* decoded */
    char password[HTTP_LOGIN_PART_SIZE];
};

/**
 * @return WARREN_OK; WARREN_ECONFIG with @error, in which nothing of @url stands, for any piece of
 *         it may belong to the password
 */
enum warren_status http_login_parse(const char *url, struct http_login *ret,
                                    struct warren_error *error);

/** "Authorization: Basic ..." for a user and a password of HTTP_LOGIN_PART_SIZE. */
#define HTTP_LOGIN_HEADER_SIZE 768
/** The header of a request. It is as secret as the password: the caller wipes it. */
void http_login_header(const char *user, const char *password, char text[HTTP_LOGIN_HEADER_SIZE]);

#endif
