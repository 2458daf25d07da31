/* uuid.h - time-ordered message ids: UUID version 7 (RFC 9562, section 5.7).
 * 48 bits of wall-clock milliseconds, then 74 random bits from the operating system, fetched many
 * at a time.
 */
#ifndef WARREN_BASE_UUID_H
#define WARREN_BASE_UUID_H

/** 36 characters and the NUL. */
#define UUID_TEXT_SIZE 37

/** Write a new id. Thread: any (the pool of random bytes is per thread). */
void uuid_v7(char text[UUID_TEXT_SIZE]);

#endif
