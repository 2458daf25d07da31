/* certificates.c - until when certificates hold: see judge.h. */
#include "amqp/net/certificate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command/cli/print.h"
#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"

#define DAY_S     INT64_C(86400)
#define SOON_DAYS 30

void judge_certificate(struct findings *findings, const char *check, const char *what,
                       const char *advice, const struct certificate *certificate, int64_t now_s)
{
    int64_t days = (certificate->until_s - now_s) / DAY_S;
    char from[CLI_TIME_SIZE];
    char until[CLI_TIME_SIZE];

    cli_time_text(certificate->from_s, from);
    cli_time_text(certificate->until_s, until);
    if (now_s < certificate->from_s)
        findings_fail(findings, check, "is the clock right? else have another one made",
                      "%s: the certificate of '%s' is not valid before %s", what, certificate->name,
                      from);
    else if (now_s >= certificate->until_s)
        findings_fail(findings, check, advice, "%s: the certificate of '%s' was valid until %s",
                      what, certificate->name, until);
    else if (days < SOON_DAYS)
        findings_warn(findings, check, advice,
                      "%s: the certificate of '%s' ends in %" PRId64 " day%s, at %s", what,
                      certificate->name, days, days == 1 ? "" : "s", until);
    else
        findings_ok(findings, check, "%s: the certificate of '%s' is valid until %s", what,
                    certificate->name, until);
}

/* ---- certificates: of files ---- */

/* @last  those of authorities: it is enough if one holds */
static void check_file(struct doctor *doctor, const char *option, const char *file, bool last,
                       const char *advice)
{
    struct warren_error error = {WARREN_OK, ""};
    struct certificate certificate;
    char what[PATH_MAX];
    size_t count;

    if (!file)
        return;
    if (certificate_of_file(file, last, &certificate, &count, &error) != WARREN_OK) {
        findings_fail(&doctor->findings, "certificates", "name a file of certificates (PEM)",
                      "%s: %s", option, error.text);
        return;
    }
    snprintf(what, sizeof what, "%s %s%s", option, file,
             last && count > 1 ? " (the last to end)" : "");
    judge_certificate(&doctor->findings, "certificates", what, advice, &certificate, time(NULL));
}

void check_certificates(struct doctor *doctor)
{
    static const char own[] = "have it renewed, replace the file, and restart the worker";
    static const char listener[] =
        "have it renewed, replace the file, and send SIGHUP to the worker";
    static const char authority[] = "get the authority's new certificate, and add it to the file";
    const struct config *config = doctor->config;

    check_file(doctor, "broker.tls.cert_file", config->broker.tls_cert_file, false, own);
    check_file(doctor, "broker.tls.ca_file", config->broker.tls_ca_file, true, authority);
    check_file(doctor, "admin.tls.cert_file", config->admin.tls_cert_file, false, listener);
    check_file(doctor, "admin.tls.ca_file", config->admin.tls_ca_file, true, authority);
    check_file(doctor, "tracing.tls.ca_file", config->tracing.tls_ca_file, true, authority);
}

/* ---- tls: of the broker ---- */

void judge_tls(struct findings *findings, const struct broker_facts *facts, int64_t now_s)
{
    char what[sizeof facts->where + sizeof facts->protocol + 16];

    if (facts->has_certificate) {
        snprintf(what, sizeof what, "%s (%s)", facts->where, facts->protocol);
        judge_certificate(findings, "tls", what,
                          facts->certificate.authority
                              ? "it is the authority's: have it renewed, and trust the new one"
                              : "have the broker's certificate renewed",
                          &facts->certificate, now_s);
    }
    if (facts->plain_far)
        findings_warn(findings, "tls", "use amqps:// if that network is not yours alone",
                      "an address of broker.uri is amqp://, and not on this machine: passwords and "
                      "messages go over the network as they are");
    else if (!facts->has_certificate)
        findings_ok(findings, "tls", "%s: plain text, on this machine", facts->where);
}

void check_tls(struct doctor *doctor)
{
    judge_tls(&doctor->findings, &doctor->broker, time(NULL));
}
