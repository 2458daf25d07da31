/* mock_private.h - what the two halves of the mock share: its life (mock.c), its AMQP
 * (mock_amqp.c).
 */
#ifndef TESTS_SUPPORT_MOCK_PRIVATE_H
#define TESTS_SUPPORT_MOCK_PRIVATE_H

#include <setjmp.h>

#include "support/mock.h"

#define MOCK_FRAME_MAX   131072u
#define MOCK_CHANNEL_MAX 2047u

struct mock_peer {
    struct mock *mock;
    int fd;
    bool ended; /* the client closed its side */
    uint32_t frame_max;
    bool closing[MOCK_CHANNEL_MAX + 1]; /* channel.close was sent, and not answered */
    jmp_buf leave;
    char error[256];
    amqp_pool_t pool; /* of the decoded method in `frame` */
    struct mock_frame frame;
    uint8_t payload[MOCK_FRAME_MAX + 64];
    size_t payload_length;
    char *body;
};

/* Whether the mock is being freed; its script then has to end. */
bool mock_is_stopping(struct mock *mock);

#endif
