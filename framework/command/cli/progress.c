#include "command/cli/progress.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/c_locale.h"
#include "base/clock.h"
#include "command/cli/cli.h"

#define BAR_MAX    40
#define BAR_MIN    10
#define NUMBERS    60 /* columns that are left to the numbers and the note */
#define LINE_SIZE  512
#define WIDTH_ELSE 80

int64_t progress_now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

void progress_init(struct progress *progress, uint64_t total, bool quiet)
{
    *progress = (struct progress){.total = total, .started_ms = progress_now_ms()};
    if (isatty(STDERR_FILENO) && !quiet) {
        progress->out = stderr;
        progress->colour = cli_colour(stderr);
    }
}

static int bar_format(const struct progress *progress, uint64_t done, int width, char *text)
{
    char bar[BAR_MAX + 1];
    int len = width - NUMBERS < BAR_MAX ? width - NUMBERS : BAR_MAX;
    int full;

    if (progress->total == 0 || len < BAR_MIN)
        return 0;
    full = done >= progress->total ? len : (int)(done * (uint64_t)len / progress->total);
    for (int i = 0; i < len; i++)
        bar[i] = i < full ? '#' : '.';
    bar[len] = '\0';
    return sprintf(text, "[%s] ", bar);
}

void progress_format(const struct progress *progress, uint64_t done, const char *note,
                     int64_t now_ms, int width, char *text, size_t size)
{
    double seconds = (double)(now_ms - progress->started_ms) / 1000;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char bar[BAR_MAX + 8] = "";
    char of[32] = "";
    char left[32] = "";

    bar_format(progress, done, width, bar);
    if (progress->total > 0)
        snprintf(of, sizeof of, "/%" PRIu64, progress->total);
    if (progress->total > done && rate > 0)
        c_snprintf(left, sizeof left, ", %.0f s left", (double)(progress->total - done) / rate);
    c_snprintf(text, size, "%s%" PRIu64 "%s, %.0f/s%s%s%s", bar, done, of, rate, left,
               note ? ", " : "", note ? note : "");
    if (width > 1 && strlen(text) >= (size_t)width)
        text[width - 1] = '\0';
}

bool progress_is_due(const struct progress *progress)
{
    return progress->out &&
           (!progress->drawn_ms || progress_now_ms() - progress->drawn_ms >= PROGRESS_INTERVAL_MS);
}

void progress_update(struct progress *progress, uint64_t done, const char *note)
{
    int64_t now_ms = progress_now_ms();
    struct winsize window = {0};
    char text[LINE_SIZE];

    if (!progress_is_due(progress))
        return;
    if (ioctl(fileno(progress->out), TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
        window.ws_col = WIDTH_ELSE;
    progress_format(progress, done, note, now_ms, window.ws_col, text, sizeof text);
    fprintf(progress->out, "\r\033[K%s%s%s", progress->colour ? "\033[32m" : "", text,
            progress->colour ? "\033[0m" : "");
    fflush(progress->out);
    progress->drawn_ms = now_ms;
}

void progress_end(struct progress *progress)
{
    if (progress->out && progress->drawn_ms) {
        fputs("\r\033[K", progress->out);
        fflush(progress->out);
        progress->drawn_ms = 0;
    }
}
