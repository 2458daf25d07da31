#include "support/broker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/proc.h"
#include "support/wait.h"

#define COMMAND_TIMEOUT_MS 180000
#define ARGUMENTS_MAX      32

/* The command's standard output; the caller frees. */
static char *script(const char *command, const char *name, const char *const *arguments)
{
    const char *argv[ARGUMENTS_MAX] = {WARREN_SOURCE_DIR "/scripts/broker", command, name};
    struct proc *proc;
    char *out;

    for (size_t i = 0; arguments && arguments[i] && i + 4 < ARGUMENTS_MAX; i++)
        argv[i + 3] = arguments[i];
    proc = proc_start(argv, NULL, NULL);
    if (proc_wait(proc, COMMAND_TIMEOUT_MS) != 0) {
        fprintf(stderr, "scripts/broker %s %s failed:\n%s", command, name, proc_stderr(proc));
        abort();
    }
    out = text("%s", proc_stdout(proc));
    proc_free(proc);
    return out;
}

static char *variable(const char *env, const char *name)
{
    char *start = text("\n%s=", name);
    char *whole = text("\n%s", env);
    const char *at = strstr(whole, start);
    char *value;

    if (!at)
        abort();
    at += strlen(start);
    value = text("%.*s", (int)strcspn(at, "\n"), at);
    free(whole);
    free(start);
    return value;
}

static uint16_t port_variable(const char *env, const char *name)
{
    char *value = variable(env, name);
    unsigned long port = strtoul(value, NULL, 10);

    free(value);
    return (uint16_t)port;
}

/* How to reach the node itself; nothing if it lives in a folder of its own. */
static void note_node(struct broker *broker, const char *env)
{
    char *tree = variable(env, "BROKER_TREE");
    char *directory = variable(env, "BROKER_DIR");
    char *port = variable(env, "BROKER_EPMD_PORT");
    char *path = text("%s/.erlang.cookie", directory);

    if (!*tree) {
        broker->node = variable(env, "BROKER_NODE");
        broker->cookie = read_file(path, NULL);
        broker->epmd = text("ERL_EPMD_PORT=%s", port);
    }
    free(tree);
    free(directory);
    free(port);
    free(path);
}

/* What scripts/broker is to start it with. */
enum { PLAIN = 0, TLS = 1, MANAGEMENT = 2, HASH = 4 };

static struct broker *start(const char *name, bool own, unsigned with)
{
    const char *options[4] = {NULL};
    size_t count = 0;
    struct broker *broker = calloc(1, sizeof *broker);
    char *env;

    if (!broker)
        abort();
    broker->name = text("%s", name);
    broker->own = own;
    if (with & TLS)
        options[count++] = "--tls";
    if (with & MANAGEMENT)
        options[count++] = "--management";
    if (with & HASH)
        options[count++] = "--hash";
    free(script("start", name, options));
    env = script("env", name, NULL);
    broker->port = port_variable(env, "BROKER_PORT");
    broker->uri = variable(env, "BROKER_URI");
    broker->tls_uri = variable(env, "BROKER_TLS_URI");
    broker->certs = variable(env, "BROKER_CERTS");
    broker->version = variable(env, "BROKER_VERSION");
    note_node(broker, env);
    if (with & MANAGEMENT) {
        broker->management = variable(env, "BROKER_MANAGEMENT_URI");
        broker->management_tls = variable(env, "BROKER_MANAGEMENT_TLS_URI");
    }
    if (strstr(env, "\nBROKER_TLS=yes"))
        broker->tls_port = port_variable(env, "BROKER_TLS_PORT");
    free(env);
    return broker;
}

struct broker *broker_shared(void)
{
    static struct broker *shared;
    const char *name = getenv("WARREN_TEST_NODE");

    if (!shared)
        shared = start(name && *name ? name : "test", false, PLAIN);
    return shared;
}

static struct broker *start_own(const char *name, unsigned with)
{
    const char *run = getenv("WARREN_TEST_RUN"); /* scripts/test removes those that are left */
    char *unique = unique_name(name);
    char *full = text("%s-%s", run ? run : "own", unique);
    struct broker *broker = start(full, true, with);

    free(full);
    free(unique);
    return broker;
}

struct broker *broker_own(const char *name, bool tls)
{
    return start_own(name, tls ? TLS : PLAIN);
}

struct broker *broker_own_management(const char *name)
{
    return start_own(name, TLS | MANAGEMENT);
}

struct broker *broker_own_hash(const char *name)
{
    return start_own(name, HASH);
}

void broker_free(struct broker *broker)
{
    if (!broker || !broker->own)
        return;
    broker_do(broker, "remove");
    free(broker->name);
    free(broker->uri);
    free(broker->tls_uri);
    free(broker->certs);
    free(broker->management);
    free(broker->management_tls);
    free(broker->version);
    free(broker->node);
    free(broker->cookie);
    free(broker->epmd);
    free(broker);
}

static bool is_one_of(const char *command, const char *const *list)
{
    while (*list && strcmp(command, *list) != 0)
        list++;
    return *list != NULL;
}

void broker_do(struct broker *broker, const char *command)
{
    static const char *const leaving[] = {"stop", "kill", "pause", NULL};
    static const char *const coming[] = {"start", "restart", "resume", NULL};

    if (is_one_of(command, leaving))
        broker->away = true;
    free(script(command, broker->name, NULL));
    if (is_one_of(command, coming))
        broker->away = false;
}

void broker_restore(struct broker *broker)
{
    if (broker->away) {
        broker_do(broker, "resume");
        broker_do(broker, "start");
    }
    if (broker->alarmed)
        broker_memory_alarm(broker, false);
}

void broker_kill(struct broker *broker)
{
    free(broker_eval(broker, "[dets:sync(T) || T <- dets:all()], mnesia:dump_log(),"
                             "mnesia:sync_log()."));
    broker_do(broker, "kill");
}

/* As scripts/broker does, with one process in place of eight. NULL: that is to do it */
static char *erl_call(const struct broker *broker, const char *code)
{
    const char *const argv[] = {"erl_call",     "-name", broker->node, "-c",
                                broker->cookie, "-e",    NULL};
    const char *const env[] = {broker->epmd, "ERL_EPMD_ADDRESS=127.0.0.1", NULL};
    struct proc *proc;
    char *answer = NULL;
    char *line;
    const char *said;

    if (!broker->node)
        return NULL;
    line = text("%s\n", code); /* an expression ends with a full stop and a blank */
    proc = proc_start(argv, line, env);
    proc_wait(proc, COMMAND_TIMEOUT_MS);
    said = proc_stdout(proc);
    if (strncmp(said, "{ok, ", 5) == 0)
        answer = text("%.*s", (int)(strrchr(said, '}') - said) - 5, said + 5);
    if (strncmp(said, "{error, ", 8) == 0) {
        fprintf(stderr, "%s: %s: %s\n", broker->name, code, said);
        abort();
    }
    proc_free(proc);
    free(line);
    return answer;
}

char *broker_eval(const struct broker *broker, const char *format, ...)
{
    char *code = NULL;
    char *answer;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&code, format, arguments) < 0)
        abort();
    va_end(arguments);
    answer = erl_call(broker, code);
    if (!answer)
        answer = script("eval", broker->name, (const char *const[]){code, NULL});
    free(code);
    answer[strcspn(answer, "\n")] = '\0';
    return answer;
}

/* Erlang that runs @action (an expression over P, a connection's pid) for each connection of the
 * prefix and counts them. Not counted are those that end meanwhile, and those that have not yet
 * said their name. */
static int for_connections(const struct broker *broker, const char *prefix, const char *action)
{
    char *answer = broker_eval(
        broker,
        "Prefix = <<\"%s\">>,"
        "Mine = fun(P) -> try rabbit_reader:info(P, [client_properties]) of"
        " [{_, Ps}] when is_list(Ps) -> case lists:keyfind(<<\"connection_name\">>, 1, Ps) of"
        " {_, _, Name} -> binary:longest_common_prefix([Name, Prefix]) =:= byte_size(Prefix);"
        " false -> false end;"
        " _ -> false"
        " catch _:_ -> false end end,"
        "Done = fun(P) -> try %s, true catch _:_ -> false end end,"
        "length([P || P <- rabbit_networking:connections(), Mine(P), Done(P)]).",
        prefix, action);
    int count = atoi(answer);

    free(answer);
    return count;
}

int broker_close_connections(const struct broker *broker, const char *prefix)
{
    return for_connections(broker, prefix, "rabbit_networking:close_connection(P, \"by a test\")");
}

int broker_count_connections(const struct broker *broker, const char *prefix)
{
    return for_connections(broker, prefix, "P");
}

bool broker_at_least(const struct broker *broker, unsigned major, unsigned minor)
{
    unsigned has_major;
    unsigned has_minor;

    if (sscanf(broker->version, "%u.%u", &has_major, &has_minor) != 2)
        abort();
    return has_major > major || (has_major == major && has_minor >= minor);
}

/* ---- what rabbitmqctl does, too, but with seconds of CPU ---- */

char *broker_vhost(const struct broker *broker, const char *vhost)
{
    free(broker_eval(broker, "ok = rabbit_vhost:add(<<\"%s\">>, <<\"test\">>).", vhost));
    broker_permit(broker, "guest", vhost, ".*", ".*", ".*");
    return text("%s%s", broker->uri, vhost);
}

void broker_delete_vhost(const struct broker *broker, const char *vhost)
{
    free(broker_eval(broker, "rabbit_vhost:delete(<<\"%s\">>, <<\"test\">>).", vhost));
}

void broker_add_user(const struct broker *broker, const char *user, const char *password)
{
    free(broker_eval(
        broker, "ok = rabbit_auth_backend_internal:add_user(<<\"%s\">>, <<\"%s\">>, <<\"test\">>).",
        user, password));
}

void broker_tag_user(const struct broker *broker, const char *user, const char *tags)
{
    free(broker_eval(broker,
                     "ok = rabbit_auth_backend_internal:set_tags(<<\"%s\">>, [%s], <<\"test\">>).",
                     user, tags));
}

void broker_permit(const struct broker *broker, const char *user, const char *vhost,
                   const char *configure, const char *write, const char *read)
{
    free(broker_eval(broker,
                     "ok = rabbit_auth_backend_internal:set_permissions(<<\"%s\">>, <<\"%s\">>,"
                     " <<\"%s\">>, <<\"%s\">>, <<\"%s\">>, <<\"test\">>).",
                     user, vhost, configure, write, read));
}

void broker_delete_user(const struct broker *broker, const char *user)
{
    free(broker_eval(broker, "rabbit_auth_backend_internal:delete_user(<<\"%s\">>, <<\"test\">>).",
                     user));
}

/* @what: an item that rabbitmqctl list_queues knows; of a quorum queue, whose items are some
 * seconds old, its leader is asked, for @of_fifo (4.3 takes no fun). A queue that is just being
 * started may not answer yet. */
static int count_of(const struct broker *broker, const char *queue, const char *what,
                    const char *of_fifo)
{
    char *answer =
        broker_eval(broker,
                    "Name = rabbit_misc:r(<<\"/\">>, queue, <<\"%s\">>),"
                    "Count = fun() -> {ok, Q} = rabbit_amqqueue:lookup(Name),"
                    " case amqqueue:get_type(Q) of"
                    " rabbit_quorum_queue ->"
                    " Ask = fun(What) -> ra:leader_query(amqqueue:get_pid(Q), What) end,"
                    " {ok, {_, N}, _} = try Ask(fun rabbit_fifo:%s/1)"
                    " catch error:function_clause -> Ask({rabbit_fifo, %s, []}) end, N;"
                    " _ -> [{_, N}] = rabbit_amqqueue:info(Q, [%s]), N end end,"
                    "Try = fun F(0) -> Count();"
                    " F(More) -> try Count() catch _:_ -> timer:sleep(100), F(More - 1) end end,"
                    "Try(100).",
                    queue, of_fifo, of_fifo, what);
    int count = atoi(answer);

    free(answer);
    return count;
}

int broker_unacked(const struct broker *broker, const char *queue)
{
    return count_of(broker, queue, "messages_unacknowledged", "query_messages_checked_out");
}

int broker_messages(const struct broker *broker, const char *queue)
{
    return count_of(broker, queue, "messages", "query_messages_total");
}

char *broker_log(const struct broker *broker)
{
    return script("log", broker->name, NULL);
}

void broker_stall_disk(const struct broker *broker, int ms)
{
    if (ms == 0) /* who waits for the writer to stand takes that word later */
        free(broker_eval(broker, "Stalls = monitor(process, disk_stalls), disk_stalls ! stop, "
                                 "receive {'DOWN', Stalls, _, _, _} -> ok end."));
    else
        free(broker_eval(broker,
                         "register(disk_stalls, spawn(fun() -> (fun F(Writer) -> "
                         "catch erlang:suspend_process(Writer), receive stop -> ok after %d -> "
                         "catch erlang:resume_process(Writer), timer:sleep(2), F(Writer) end end)"
                         "(whereis(ra_log_wal)) end)).",
                         ms));
}

void broker_memory_alarm(struct broker *broker, bool raised)
{
    broker->alarmed = raised;
    free(broker_eval(broker, "ok = vm_memory_monitor:set_vm_memory_high_watermark(%s).",
                     raised ? "0.00000001" : "0.6"));
}
