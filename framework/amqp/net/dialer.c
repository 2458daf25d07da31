/* dialer.c - see dialer.h. */
#include "amqp/net/dialer.h"

#include <stdio.h>

static const char *const step_names[] = {"idle", "resolving", "connecting", "securing"};

static void enter(struct dialer *d, enum dialer_step step)
{
    d->step = step;
    d->events.step(d->user, step);
}

void dialer_cancel(struct dialer *d)
{
    d->step = DIALER_IDLE;
    loop_timer_disarm(&d->deadline);
    resolver_abandon(d->lookup);
    d->lookup = NULL;
    if (d->addresses)
        freeaddrinfo(d->addresses);
    d->addresses = d->address = NULL;
    loop_fd_done(&d->watch);
    transport_close(&d->transport);
}

static void fail(struct dialer *d, const char *text)
{
    dialer_cancel(d);
    d->events.failed(d->user, text);
}

static void succeed(struct dialer *d)
{
    struct transport transport = d->transport;

    d->transport = (struct transport){.fd = -1};
    dialer_cancel(d);
    d->events.connected(d->user, &transport);
}

static void arm_deadline(struct dialer *d, int64_t share)
{
    int64_t left_ms = d->deadline_ms - loop_now_ms(d->loop);

    loop_timer_arm_ms(&d->deadline, left_ms > 0 ? left_ms / share : 0);
}

/* ---- TLS ---- */

static void secure(struct dialer *d)
{
    struct warren_error error = {WARREN_OK, ""};

    switch (transport_handshake(&d->transport, d->tls, d->uri->host, &error)) {
    case WARREN_OK:
        succeed(d);
        break;
    case WARREN_EFULL:
        loop_fd_want(&d->watch, d->transport.wants_write ? LOOP_WRITE : LOOP_READ);
        break;
    default:
        fail(d, error.text);
    }
}

/* ---- TCP ---- */

static void ready(void *arg, unsigned readiness);

static int64_t addresses_from(const struct addrinfo *address)
{
    int64_t count = 1;

    while ((address = address->ai_next))
        count++;
    return count;
}

static void try_address(struct dialer *d)
{
    struct warren_error error = {WARREN_ENOMEM, "out of memory for a socket"};
    enum warren_status status = WARREN_EIO;

    for (; d->address; d->address = d->address->ai_next) {
        arm_deadline(d, addresses_from(d->address));
        status =
            transport_connect(&d->transport, d->address->ai_addr, d->address->ai_addrlen, &error);
        if (status == WARREN_OK)
            status = loop_fd_init(&d->watch, d->loop, d->transport.fd, ready, d);
        if (status == WARREN_OK) {
            loop_fd_want(&d->watch, LOOP_WRITE);
            return;
        }
        transport_close(&d->transport);
    }
    fail(d, error.text);
}

static void next_address(struct dialer *d, const char *text)
{
    loop_fd_done(&d->watch);
    transport_close(&d->transport);
    d->address = d->address->ai_next;
    if (d->address)
        try_address(d);
    else
        fail(d, text);
}

static void ready(void *arg, unsigned readiness)
{
    struct dialer *d = arg;
    struct warren_error error = {WARREN_OK, ""};

    (void)readiness;
    if (d->step == DIALER_SECURING) {
        secure(d);
    } else if (transport_connected(&d->transport, &error) != WARREN_OK) {
        next_address(d, error.text);
    } else if (d->tls) {
        arm_deadline(d, 1);
        enter(d, DIALER_SECURING);
        secure(d);
    } else {
        succeed(d);
    }
}

/* ---- look-up ---- */

static void resolved(void *arg, struct addrinfo *addresses, const struct warren_error *error)
{
    struct dialer *d = arg;

    d->lookup = NULL;
    if (!addresses) {
        fail(d, error->text);
        return;
    }
    d->addresses = d->address = addresses;
    enter(d, DIALER_CONNECTING);
    try_address(d);
}

static void deadline_passed(void *arg)
{
    struct dialer *d = arg;
    char text[64];

    snprintf(text, sizeof text, "timed out while %s", step_names[d->step]);
    if (d->step == DIALER_CONNECTING)
        next_address(d, text);
    else
        fail(d, text);
}

void dialer_begin(struct dialer *d, const struct uri *uri, struct tls_context *tls,
                  uint32_t timeout_ms)
{
    char text[URI_PART_MAX + 96];
    enum warren_status status;

    d->uri = uri;
    d->tls = tls;
    d->deadline_ms = loop_now_ms(d->loop) + timeout_ms;
    enter(d, DIALER_RESOLVING);
    arm_deadline(d, 1);
    status = resolver_lookup(d->loop, uri->host, uri->port, resolved, d, &d->lookup);
    if (status == WARREN_OK)
        return;
    snprintf(text, sizeof text, "cannot look up %s: %s", uri->host,
             status == WARREN_EFULL ? "too many earlier look-ups are still hanging"
                                    : warren_status_name(status));
    fail(d, text);
}

enum warren_status dialer_init(struct dialer *d, struct loop *loop,
                               const struct dialer_events *events, void *user)
{
    *d = (struct dialer){.loop = loop, .events = *events, .user = user, .transport = {.fd = -1}};
    return loop_timer_init(&d->deadline, loop, deadline_passed, d);
}

void dialer_done(struct dialer *d)
{
    if (!d->loop)
        return;
    dialer_cancel(d);
    loop_timer_done(&d->deadline);
}
