/* test_doctor_broker.c - what `warren doctor` makes of a broker: whether it lets us in, its sizes,
 * what it refuses, what its user may do.
 */
#include "doctor_rig.h"

#define DAY INT64_C(86400)

static struct broker_facts broker;
static struct config *config; /* nothing is in it */

static int setup(void **state)
{
    broker_facts_init(&broker);
    broker_facts_server(&broker, "RabbitMQ 3.10.8");
    snprintf(broker.where, sizeof broker.where, "amqps://mq/");
    broker.asked = broker.reached = true;
    if (rig_setup(state) != 0)
        return -1;
    config = helper_config(NULL, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    config_free(config);
    broker_facts_done(&broker);
    return rig_teardown(state);
}

#define BROKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Why it cannot be used, and what to do then. */
static void no_way_in(void **state)
{
    static const struct {
        const char *error;
        const char *advice;
    } cases[] = {
        {"amqp://mq/: connection refused: nothing listens", "is the broker running"},
        {"amqp://mq/: 403 ACCESS_REFUSED", "password"},
        {"amqp://mq/v: 530 NOT_ALLOWED - vhost v not found", "virtual host"},
        {"amqps://mq/: TLS: certificate expired: the peer's certificate", "broker.tls"},
        {"amqp://mq/: cannot look up mq", "resolv.conf"},
        {"amqp://mq/: timed out while connecting", "firewall"},
        {"amqp://mq/: something new", "broker's log"},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        broker.ended = WARREN_EIO;
        snprintf(broker.error, sizeof broker.error, "%s", cases[i].error);
        judge_broker(&found, &broker);
        assert_string_equal(found.items[0].text, cases[i].error);
        expect(FINDING_FAIL, "broker", cases[i].advice);
    }
    broker.ended = WARREN_OK;
    judge_broker(&found, &broker);
    expect(FINDING_OK, "broker", "logged in, RabbitMQ 3.10.8");
}

static void versions(void **state)
{
    (void)state;
    judge_version(&found, &broker);
    expect(FINDING_OK, "version", "with 4.0");
    broker_facts_server(&broker, "RabbitMQ 4.0.5");
    judge_version(&found, &broker);
    expect(FINDING_OK, "version", "with 4.3");
    broker_facts_server(&broker, "RabbitMQ 4.3.6");
    judge_version(&found, &broker);
    expect(FINDING_OK, "version", "RabbitMQ 4.3.6");
    broker_facts_server(&broker, "RabbitMQ 3.9.1");
    judge_version(&found, &broker);
    expect(FINDING_WARN, "version", "3.10 and later");
    broker_facts_server(&broker, "LavinMQ 2.0");
    judge_version(&found, &broker);
    expect(FINDING_WARN, "version", "LavinMQ 2.0 is not RabbitMQ");
}

static void sizes(void **state)
{
    (void)state;
    broker.frame_max = 131072;
    judge_frame_size(&found, &broker);
    expect(FINDING_OK, "frame-size", "131072");
    broker.frame_max = 4096;
    judge_frame_size(&found, &broker);
    expect(FINDING_WARN, "frame-size", "4096");
    judge_message_size(&found, &broker, 128 << 20);
    expect(FINDING_OK, "message-size", "128 MiB");
    judge_message_size(&found, &broker, 1000);
    expect(FINDING_WARN, "message-size", "above 1000 bytes");
    broker_facts_server(&broker, "RabbitMQ 4.0.5");
    judge_message_size(&found, &broker, 16 << 20);
    expect(FINDING_OK, "message-size", "16 MiB");
    broker.channels_allowed = 2047;
    judge_channels(&found, &broker);
    expect(FINDING_OK, "channels", "2047");
    broker.channels_needed = 3000;
    judge_channels(&found, &broker);
    expect(FINDING_FAIL, "channels", "at least 3000");
}

static void tls(void **state)
{
    (void)state;
    judge_tls(&found, &broker, 0);
    expect(FINDING_OK, "tls", "plain text, on this machine");
    broker.plain_far = true;
    judge_tls(&found, &broker, 0);
    expect(FINDING_WARN, "tls", "amqps://");
    broker.plain_far = false;
    broker.has_certificate = true;
    broker.certificate = (struct certificate){.until_s = 29 * DAY, .name = "mq"};
    judge_tls(&found, &broker, 0);
    expect(FINDING_WARN, "tls", "have the broker's certificate renewed");
    broker.certificate.authority = true;
    judge_tls(&found, &broker, 0);
    expect(FINDING_WARN, "tls", "it is the authority's");
}

/* ---- what is declared and used ---- */

static void refused(const char *item, uint16_t code, const char *text)
{
    broker_facts_note(&broker, &(struct broker_note){
                                   .kind = NOTE_REFUSED, .item = item, .code = code, .text = text});
}

static void forget(void)
{
    broker.note_count = 0;
}

static void declared(void **state)
{
    (void)state;
    judge_topology(&found, config, &broker);
    expect(FINDING_OK, "topology", "all of it exists");
    broker_facts_note(&broker, &(struct broker_note){.kind = NOTE_MISSING, .item = "queue 'q'"});
    judge_topology(&found, config, &broker);
    expect(FINDING_OK, "topology", "1 that does not exist yet");
    refused("queue 'q'", 406, "PRECONDITION_FAILED - inequivalent arg");
    judge_topology(&found, config, &broker);
    expect(FINDING_FAIL, "topology", "queue 'q': 406 PRECONDITION_FAILED");
    forget();
    refused("queue 'q'", 404, "NOT_FOUND");
    judge_topology(&found, config, &broker);
    expect(FINDING_FAIL, "topology", "without `passive`");
    forget();
    refused("queue 'q'", 403, "ACCESS_REFUSED");
    judge_topology(&found, config, &broker);
    expect(FINDING_OK, "topology", "");
    judge_permissions(&found, config, &broker);
    expect(FINDING_FAIL, "permissions", "queue 'q': 403 ACCESS_REFUSED");
}

/* An exchange that no row of the topology has was looked for because an argument names it. */
static void named_by_an_argument(void **state)
{
    struct config *own =
        helper_config("topology: {exchanges: [{name: x, passive: true}]}\n", NULL, NULL);

    (void)state;
    judge_dead_letter_exchange(&found, config, &broker);
    expect(FINDING_OK, "dead-letter-exchange", "exist");
    refused("exchange 'x'", 404, "NOT_FOUND");
    judge_dead_letter_exchange(&found, config, &broker);
    expect(FINDING_FAIL, "dead-letter-exchange", "exchange 'x' is named by an argument");
    judge_topology(&found, config, &broker);
    expect(FINDING_OK, "topology", "");
    judge_dead_letter_exchange(&found, own, &broker);
    expect(FINDING_OK, "dead-letter-exchange", "");
    judge_topology(&found, own, &broker);
    expect(FINDING_FAIL, "topology", "exchange 'x'");
    forget();
    refused("exchange 'x'", 403, "ACCESS_REFUSED");
    judge_dead_letter_exchange(&found, config, &broker);
    expect(FINDING_WARN, "dead-letter-exchange", "cannot be looked for");
    judge_permissions(&found, config, &broker);
    expect(FINDING_OK, "permissions", "");
    config_free(own);
}

static void permissions(void **state)
{
    struct broker_note note = {.kind = NOTE_RIGHT,
                               .item = "read from queue 'q'",
                               .why = "which p.h does",
                               .text = "ACCESS_REFUSED",
                               .answer = RIGHT_GRANTED};

    (void)state;
    broker_facts_note(&broker, &note);
    judge_permissions(&found, config, &broker);
    expect(FINDING_OK, "permissions", "asked for: 1");
    note.answer = RIGHT_REFUSED;
    forget();
    broker_facts_note(&broker, &note);
    judge_permissions(&found, config, &broker);
    expect(FINDING_FAIL, "permissions",
           "the user may not read from queue 'q', which p.h does: ACCESS_REFUSED");
    broker.reached = false;
    judge_permissions(&found, config, &broker);
    expect(FINDING_FAIL, "permissions", "set_permissions -p VHOST USER CONFIGURE WRITE READ (");
    broker.reached = true;
    strcpy(broker.vhost, "/");
    strcpy(broker.user, "it's me");
    judge_permissions(&found, config, &broker);
    expect(FINDING_FAIL, "permissions",
           "set_permissions -p / 'it'\\''s me' CONFIGURE WRITE READ (");
    note.answer = RIGHT_UNKNOWN;
    forget();
    broker_facts_note(&broker, &note);
    judge_permissions(&found, config, &broker);
    expect(FINDING_WARN, "permissions", "was not found out");
}

/* ---- which rights a configuration needs ---- */

static bool needs(const struct broker_rights *rights, const char *wanted)
{
    for (size_t i = 0; i < rights->count; i++) {
        char text[600];

        broker_right_text(&rights->items[i].right, text, sizeof text);
        if (strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

static void rights_of_a_worker(void **state)
{
    struct config *own =
        rig_config("topology:\n"
                   "  exchanges: [{name: x, arguments: {alternate-exchange: lost}}]\n"
                   "  queues: [{name: q, arguments: {x-dead-letter-exchange: far}}]\n"
                   "  bindings:\n"
                   "  - {exchange: x, queue: q, routing_key: a}\n"
                   "  - {exchange: x, queue: q, routing_key: b}\n"
                   "  - {exchange: x, to_exchange: amq.fanout}\n"
                   "middleware: {retry: {max_delay: 31s}}\n"
                   "subscriptions: [{queue: q, handler: p.h}, {queue: q, handler: p.i}]\n");
    static const char *const wanted[] = {
        "read from queue 'q'",
        "write to exchange 'q.dlx'",
        "write to exchange 'amq.default'",
        "configure exchange 'warren.delay.00'",
        "configure queue 'warren.delay.00'",
        "bind queue 'warren.delay.00' to exchange 'warren.delay.00'",
        "write to exchange 'warren.delay.00'",
        "write to exchange 'far'",
        "write to exchange 'lost'",
        "bind queue 'q' to exchange 'x'",
        "bind exchange 'amq.fanout' to exchange 'x'",
        "bind queue 'q.dlq' to exchange 'q.dlx'",
    };
    struct broker_rights rights;

    (void)state;
    assert_int_equal(broker_rights_init(&rights, own), WARREN_OK);
    for (size_t i = 0; i < HELPER_COUNT(wanted); i++)
        if (!needs(&rights, wanted[i]))
            fail_msg("not asked for: %s", wanted[i]);
    assert_int_equal(rights.count, HELPER_COUNT(wanted)); /* each once */
    broker_rights_done(&rights);
    config_free(own);
}

/* Without long delays no delay queues; without dead letters none of their rights. */
static void rights_of_a_smaller_worker(void **state)
{
    struct config *own = rig_config("dead_letter: {enabled: false}\n"
                                    "subscriptions: [{queue: q, handler: p.h}]\n");
    struct broker_rights rights;

    (void)state;
    assert_int_equal(broker_rights_init(&rights, own), WARREN_OK);
    assert_int_equal(rights.count, 2);
    assert_true(needs(&rights, "read from queue 'q'"));
    assert_true(needs(&rights, "write to exchange 'amq.default'"));
    broker_rights_done(&rights);
    config_free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BROKER_TEST(no_way_in),
        BROKER_TEST(versions),
        BROKER_TEST(sizes),
        BROKER_TEST(tls),
        BROKER_TEST(declared),
        BROKER_TEST(named_by_an_argument),
        BROKER_TEST(permissions),
        BROKER_TEST(rights_of_a_worker),
        BROKER_TEST(rights_of_a_smaller_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
