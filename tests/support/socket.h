/* socket.h - loopback sockets of the test doubles. Aborts where the test machine is at fault. */
#ifndef TESTS_SUPPORT_SOCKET_H
#define TESTS_SUPPORT_SOCKET_H

#include <stdint.h>

/** A listening socket on a free port of 127.0.0.1. */
int socket_listen(uint16_t *ret_port);
/** A connection to a port of 127.0.0.1, or -1. */
int socket_connect(uint16_t port);
/** Close it so that the peer sees a reset instead of an orderly end. */
void socket_reset(int fd);

#endif
