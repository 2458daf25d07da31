/* test_payments.c - tests of the handler without a broker, on <warren/testing.h>.
 *
 *   cc test_payments.c payments.c $(pkg-config --cflags --libs warren) -o test_payments
 *   ./test_payments
 *
 * Any test framework will do; here each test is a function, and the first one that fails ends the
 * program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/testing.h>

const struct warren_plugin *warren_plugin_entry(void); /* payments.c */

static char ledger[] = "/tmp/test-payments-XXXXXX";

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The handler with a ledger of its own, in the chain that its worker has. */
static struct warren_test *open_handler(const char *path)
{
    char option[256];
    const char *const options[] = {option};
    struct warren_test_options what = {.size = sizeof what,
                                       .plugin = warren_plugin_entry(),
                                       .handler = "book",
                                       .options = options,
                                       .option_count = 1,
                                       .chain = "[retry: {max_attempts: 3}, recover]"};
    struct warren_test *test;
    struct warren_error error;

    snprintf(option, sizeof option, "ledger=%s", path);
    if (warren_test_new(&what, &test, &error) != WARREN_OK) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    return test;
}

static void deliver(struct warren_test *test, const char *body)
{
    struct warren_test_message message = {.message = {.body = warren_text(body)}};
    struct warren_error error;

    CHECK(warren_test_deliver(test, &message, &error) == WARREN_OK);
}

static void a_payment_is_booked(void)
{
    struct warren_test *test = open_handler(ledger);
    FILE *file = fopen(ledger, "r");
    char line[64];

    deliver(test, "{\"id\":\"pay-1\",\"amount_cents\":1999}");
    CHECK(warren_test_run(test)->outcome == WARREN_ACK);
    CHECK(file && fgets(line, sizeof line, file));
    CHECK(strcmp(line, "pay-1\t1999\t0\n") == 0);

    warren_test_run(test); /* it comes again, as after a lost connection */
    CHECK(fgets(line, sizeof line, file));
    CHECK(strcmp(line, "pay-1\t1999\t1\n") == 0);
    fclose(file);
    warren_test_free(test);
}

static void what_is_no_payment_is_rejected(void)
{
    static const char *const bodies[] = {"", "{}", "{\"id\":\"pay-1\"}",
                                         "{\"id\":\"pay 1\",\"amount_cents\":1}",
                                         "{\"id\":\"pay-1\",\"amount_cents\":-5}"};
    struct warren_test *test = open_handler(ledger);

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct warren_test_attempt *attempt;

        deliver(test, bodies[i]);
        attempt = warren_test_run(test);
        CHECK(attempt->outcome == WARREN_REJECT);
        CHECK(strstr(attempt->error, "not a payment"));
    }
    warren_test_free(test);
}

/* On a full disk it is tried again, and dead-lettered in the end; in no time. */
static void a_ledger_that_is_full_is_tried_again(void)
{
    struct warren_test *test = open_handler("/dev/full");
    const struct warren_test_attempt *attempt;

    deliver(test, "{\"id\":\"pay-2\",\"amount_cents\":5}");
    attempt = warren_test_run(test);
    CHECK(attempt->outcome == WARREN_RETRY);
    CHECK(attempt->retry_after_ms >= 0);
    attempt = warren_test_settle(test, 10);
    CHECK(attempt->outcome == WARREN_REJECT);
    CHECK(attempt->attempt == 3);
    CHECK(strstr(attempt->error, "cannot write to the ledger"));
    warren_test_free(test);
}

int main(void)
{
    int fd = mkstemp(ledger);

    CHECK(fd >= 0);
    close(fd);
    a_payment_is_booked();
    what_is_no_payment_is_rejected();
    a_ledger_that_is_full_is_tried_again();
    unlink(ledger);
    printf("ok\n");
    return 0;
}
