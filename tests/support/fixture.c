#include "support/fixture.h"

#include <errno.h>
#include <unistd.h>

static struct broker *own_node;

int fixture_own_node(void **state)
{
    (void)state;
    own_node = broker_own(program_invocation_short_name, false);
    return 0;
}

int fixture_own_hash_node(void **state)
{
    (void)state;
    own_node = broker_own_hash(program_invocation_short_name);
    return 0;
}

int fixture_end_node(void **state)
{
    (void)state;
    broker_free(own_node);
    own_node = NULL;
    return 0;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const char *type = *state;

    assert_non_null(fixture);
    fixture->broker = own_node ? own_node : broker_shared();
    fixture->peer = peer_new(fixture->broker->uri);
    fixture->queue = unique_name(program_invocation_short_name);
    fixture->dlq = text("%s.dlq", fixture->queue);
    fixture->other = unique_name(program_invocation_short_name);
    fixture->directory = scratch_new();
    fixture->spool = text("%s/spool.db", fixture->directory);
    fixture->gate = write_file(WARREN_BINARY_DIR, fixture->queue, "");
    if (type)
        peer_declare(fixture->peer, fixture->queue, type);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    broker_restore(fixture->broker);
    warren_publisher_close(fixture->publisher, 0);
    ledger_free(fixture->ledger);
    worker_free(fixture->second);
    worker_free(fixture->worker);
    tally_free(fixture->tally);
    proxy_free(fixture->proxy);
    mock_free(fixture->mock);
    if (!fixture->peer || own_node) /* its broker went away, or did meanwhile */
        fixture_new_peer(fixture);
    peer_delete(fixture->peer, fixture->queue); /* with `dlq` */
    peer_delete(fixture->peer, fixture->other);
    peer_free(fixture->peer);
    if (fixture->vhost)
        broker_delete_vhost(fixture->broker, fixture->vhost);
    scratch_free(fixture->directory);
    unlink(fixture->gate);
    free(fixture->queue);
    free(fixture->dlq);
    free(fixture->other);
    free(fixture->spool);
    free(fixture->gate);
    free(fixture->record);
    free(fixture->vhost);
    free(fixture->uri);
    free(fixture->own);
    free(fixture);
    return 0;
}

struct peer *fixture_new_peer(struct fixture *fixture)
{
    peer_free(fixture->peer);
    fixture->peer = NULL; /* what follows may fail */
    fixture->peer = peer_new(fixture->uri ? fixture->uri : fixture->broker->uri);
    return fixture->peer;
}

void fixture_open_gate(struct fixture *fixture)
{
    assert_int_equal(unlink(fixture->gate), 0);
}

void fixture_own_vhost(struct fixture *fixture)
{
    fixture->vhost = unique_name(program_invocation_short_name);
    fixture->uri = broker_vhost(fixture->broker, fixture->vhost);
    fixture_new_peer(fixture);
}

void fixture_publish(struct fixture *fixture, const char *id, const char *body)
{
    peer_publish_id(fixture->peer, fixture->queue, id, body);
}

void fixture_declare_with_dlq(struct fixture *fixture, const char *type)
{
    const amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-dead-letter-exchange"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_empty_bytes}},
        {.key = amqp_cstring_bytes("x-dead-letter-routing-key"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(fixture->dlq)}}};

    peer_declare(fixture->peer, fixture->dlq, "classic");
    peer_declare_with(fixture->peer, fixture->queue, type, arguments, 2);
}

bool fixture_recorded(struct fixture *fixture, size_t lines)
{
    return WAIT_FOR(count_lines(fixture->record) >= lines, PATIENCE_MS);
}

void fixture_stop_and_expect(struct fixture *fixture, int left, int dead)
{
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == left, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->dlq) == dead, PATIENCE_MS));
}
