/* dlq_signature.h - what dead letters of one cause have in common: reason, handler, signal and the
 * first line of the error, with everything that differs from message to message folded into "#".
 * Thread: any.
 */
#ifndef WARREN_COMMAND_DLQ_SIGNATURE_H
#define WARREN_COMMAND_DLQ_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include <warren/message.h>

/** Eight hex digits and the NUL. */
#define DLQ_GROUP_SIZE 9

/** Longest folded error and the NUL; the rest is cut off. */
#define DLQ_ERROR_SIZE 200

/**
 * The first line of @error for people and for comparing: each number, hexadecimal number (from 0x,
 * or of eight digits or more of which one is decimal) and UUID becomes one "#".
 */
void dlq_fold_error(const char *error, size_t len, char folded[DLQ_ERROR_SIZE]);

/** A short name of a group: the FNV-1a hash of its parts, @folded as dlq_fold_error() left it. */
void dlq_group(struct warren_bytes reason, struct warren_bytes handler, struct warren_bytes signal,
               const char *folded, char group[DLQ_GROUP_SIZE]);

#endif
