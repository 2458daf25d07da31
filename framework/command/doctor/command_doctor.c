/* command_doctor.c - `warren doctor`: run the checks, print what they find. */
#include "command/doctor/command_doctor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings.h"
#include "command/cli/broker_options.h"
#include "command/doctor/doctor.h"
#include "observe/admin.h"

struct command_line {
    struct broker_options broker; /* first */
    bool offline;
    bool json;
};

static const struct cli_option options[] = {
    BROKER_CONFIG("The worker's configuration; without it only what needs none is checked"),
    BROKER_SET,
    BROKER_URI,
    CLI_FLAG("offline", '\0', "Leave out what has to be asked of the broker", struct command_line,
             offline),
    CLI_FLAG("json", 'j', "Print one JSON object", struct command_line, json),
    CLI_END};

const struct doctor_check doctor_checks[] = {
    {"plugins", "Does each plugin load, and is it built for this warren?", NEEDS_FILE,
     check_plugins},
    {"configuration", "Are there such handlers and middlewares, with such options?", NEEDS_FILE,
     check_configuration},
    {"certificates", "How long do the certificates that the file names hold?", NEEDS_NOTHING,
     check_certificates},
    {"state-folder", "Can what is to be kept be written, and does it stay?", NEEDS_NOTHING,
     check_state_folder},
    {"disk-space", "Is there room for what it may grow to?", NEEDS_NOTHING, check_disk_space},
    {"fsync", "Does the disk keep what is flushed, and how fast?", NEEDS_NOTHING, check_fsync},
    {"file-size", "May a file become as large as the spool?", NEEDS_NOTHING, check_file_size},
    {"clock", "Is the clock set, and synchronised?", NEEDS_NOTHING, check_clock},
    {"descriptors", "May a process open enough files and sockets?", NEEDS_NOTHING,
     check_descriptors},
    {"stack", "Have threads enough stack?", NEEDS_NOTHING, check_stack},
    {"threads", "May there be as many threads as the file says?", NEEDS_NOTHING, check_threads},
    {"memory", "Do the bounds of the file fit into the memory that there is?", NEEDS_NOTHING,
     check_memory},
    {"dead-letter-cycles", "Do dead letters come back to where they died?", NEEDS_FILE,
     check_dead_letter_cycles},
    {"broker", "Can it be reached, and does it let us in?", NEEDS_NOTHING, check_broker},
    {"tls", "How long does its certificate hold, and is the way encrypted?", NEEDS_BROKER,
     check_tls},
    {"version", "Which RabbitMQ is it, and what changes with the next?", NEEDS_BROKER,
     check_version},
    {"channels", "Are there enough channels on a connection?", NEEDS_BROKER, check_channels},
    {"frame-size", "Do headers of dead letters fit into a frame?", NEEDS_BROKER, check_frame_size},
    {"message-size", "How large may a message be?", NEEDS_BROKER, check_message_size},
    {"topology", "Is what exists as the file says?", NEEDS_LOOK, check_topology},
    {"dead-letter-exchange", "Does what arguments name exist?", NEEDS_LOOK,
     check_dead_letter_exchange},
    {"permissions", "May the user do all that the file needs?", NEEDS_LOOK, check_permissions},
    {"queue-types", "Is something declared that RabbitMQ gives up?", NEEDS_FILE, check_queue_types},
    {"delivery-limit", "Does the broker give a message up before retry does?", NEEDS_FILE,
     check_delivery_limit},
    {"ack-timeout", "Does the broker take a message back while it is handled?", NEEDS_FILE,
     check_ack_timeout},
    {0}};

void doctor_waits(void *arg)
{
    struct doctor *doctor = arg;

    progress_update(&doctor->progress, 0, doctor->doing);
}

static void on_told(void *user, const struct finding *finding)
{
    struct doctor *doctor = user;

    progress_end(&doctor->progress);
    finding_write(stdout, finding, cli_colour(stdout));
    fflush(stdout);
}

/* ---- running ---- */

static bool can_run(const struct doctor *doctor, const struct doctor_check *check)
{
    if (check->run == check_broker)
        return !doctor->offline;
    switch (check->needs) {
    case NEEDS_FILE:
        return doctor->file;
    case NEEDS_BROKER:
        return doctor->broker.reached;
    case NEEDS_LOOK:
        return doctor->file && doctor->broker.reached && doctor->broker.ended == WARREN_OK;
    default:
        return true;
    }
}

static void run_all(struct doctor *doctor)
{
    for (const struct doctor_check *check = doctor_checks; check->name; check++) {
        doctor->doing = check->name;
        if (can_run(doctor, check))
            check->run(doctor);
        progress_end(&doctor->progress);
    }
}

static enum cli_status conclude(struct doctor *doctor, const struct cli *cli, bool json)
{
    const struct findings *findings = &doctor->findings;

    if (findings->no_memory)
        return cli_failed(cli, "no memory");
    if (json)
        findings_print_json(findings);
    else
        findings_write_summary(stdout, findings);
    if (doctor->misconfigured)
        return CLI_USAGE;
    return findings->counts[FINDING_FAIL] > 0 ? CLI_FAILED : CLI_OK;
}

static enum cli_status examine(struct config *config, const struct command_line *line,
                               const struct cli *cli)
{
    struct worker_setup setup = {0};
    const struct warren_worker_options worker = {.size = sizeof worker,
                                                 .config_file = line->broker.config_file,
                                                 .sets = line->broker.sets.items,
                                                 .set_count = line->broker.sets.count};
    struct doctor doctor = {.config = config,
                            .file = line->broker.config_file,
                            .setup = &setup,
                            .worker = &worker,
                            .uris = &line->broker.uris,
                            .offline = line->offline};
    enum cli_status status;

    findings_init(&doctor.findings);
    broker_facts_init(&doctor.broker);
    progress_init(&doctor.progress, 0, false);
    if (!line->json) {
        doctor.findings.told = on_told;
        doctor.findings.user = &doctor;
    }
    run_all(&doctor);
    status = conclude(&doctor, cli, line->json);
    worker_setup_done(&setup);
    broker_facts_done(&doctor.broker);
    findings_done(&doctor.findings);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct command_line line = {.offline = false};
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    enum cli_status status;

    if (!broker_options_read(&line.broker, cli, NULL))
        return cli->status;
    status = cli_end(cli, "");
    if (status == CLI_OK)
        status = broker_options_load(&line.broker, cli, &config);
    if (status != CLI_OK)
        return status;
    if (admin_check(config, &error) != WARREN_OK)
        status = cli_error(cli, &error);
    else
        status = examine(config, &line, cli);
    config_free(config);
    return status;
}

static void write_checks(FILE *out)
{
    fputs("\nChecks:\n", out);
    for (const struct doctor_check *check = doctor_checks; check->name; check++)
        fprintf(out, "  %-20s  %s\n", check->name, check->asks);
}

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "[-c FILE]",
    .summary = "Examine configuration, machine and broker: what is wrong, and what to do",
    .options = options,
    .run = run,
    .details =
        "Nothing at the broker is changed: what a worker would declare is compared, and what its\n"
        "user may do is asked by methods that the broker refuses in any case; each such refusal "
        "is\n"
        "a line in its log. Limits are those of this shell, and files are tried as this user: run\n"
        "it where and as whom the worker runs.\n\n" BROKER_HELP
        "\nExit status: 0 if nothing failed, warnings or not; 1 if something did; 2 for a wrong\n"
        "command line or configuration.\n",
    .write_more = write_checks,
};
