#include "ctl.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

enum { NAME_WIDTH = 24 };

/* Where it is printed, and who knows labels. */
struct view {
    FILE *out;
    struct cn_registry *registry;
};

/* Nothing of a reply gets to drive the terminal. Returns what was printed. */
static int plain_print(FILE *out, const char *text, size_t size, bool spaces)
{
    for (size_t i = 0; i < size; i++) {
        if (spaces && text[i] == '_')
            putc(' ', out);
        else
            putc(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?', out);
    }
    return (int)size;
}

static void uptime_print(FILE *out, uint64_t seconds)
{
    fprintf(out, "%-*s", NAME_WIDTH, "up");
    if (seconds >= 86400)
        fprintf(out, "%" PRIu64 " d ", seconds / 86400);
    fprintf(out, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "\n", seconds / 3600 % 24,
            seconds / 60 % 60, seconds % 60);
}

/* What is always of interest, in the order that the server tells it; of all else what happened. */
static void member_print(FILE *out, const struct cn_ctl_member *m)
{
    static const char *const always[] = { "waiting", "calls" };
    uint64_t number = 1;
    bool shown = !cn_ctl_json_value(m, &number) || number != 0;
    int width;

    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        shown = shown || cn_ctl_json_named(m, always[i]);
    if (!shown)
        return;
    width = plain_print(out, m->name, m->name_size, true);
    fprintf(out, "%*s", width < NAME_WIDTH ? NAME_WIDTH - width : 1, "");
    plain_print(out, m->value, m->value_size, false);
    putc('\n', out);
}

/* One subscriber with lines: the registry knows the label that goes with the serial. */
static void subscriber_print(const struct view *view, const struct cn_ctl_member *element)
{
    const struct cn_ctl_user user = cn_ctl_user_take(element);
    char label[CN_NAME_SIZE_MAX + 1];

    cn_ctl_user_label(view->registry, user.serial, label);
    fprintf(view->out, "%-*s%7" PRIu64 " %7" PRIu64 "\n", NAME_WIDTH, label, user.waiting,
            user.joined);
}

static void worker_print(const struct view *view, const struct cn_ctl_member *element)
{
    uint64_t number = 0, calls = 0, bytes_per_s = 0;
    struct cn_ctl_member draining = { .value = "" };

    (void)cn_ctl_json_number(element->value, "number", &number);
    (void)cn_ctl_json_number(element->value, "calls", &calls);
    (void)cn_ctl_json_number(element->value, "bytes_per_s", &bytes_per_s);
    (void)cn_ctl_json_find(element->value, "draining", &draining);
    fprintf(view->out, "%-*" PRIu64 "%7" PRIu64 " %12.1f%s\n", NAME_WIDTH, number, calls,
            (double)bytes_per_s / 1e6, *draining.value == 't' ? "  draining" : "");
}

/* Under a head, if there is any. */
static void list_print(const struct view *view, const struct cn_ctl_member *list, const char *name,
                       const char *columns,
                       void (*print)(const struct view *view, const struct cn_ctl_member *element))
{
    const char *at = list->value;
    struct cn_ctl_member element;
    bool any = false;

    if (!cn_ctl_json_enter(&at))
        return;
    for (; cn_ctl_json_next(&at, false, &element); any = true) {
        if (!any)
            fprintf(view->out, "\n%-*s%s\n", NAME_WIDTH, name, columns);
        print(view, &element);
    }
}

static void status_print(const struct view *view, const char *json)
{
    struct cn_ctl_member m, list = { .value = "" }, workers = { .value = "" };
    const char *at = json;
    uint64_t left_out = 0;
    uint64_t number;

    if (!cn_ctl_json_enter(&at))
        return;
    while (cn_ctl_json_next(&at, true, &m)) {
        if (cn_ctl_json_named(&m, "v") || cn_ctl_json_named(&m, "event") ||
            cn_ctl_json_named(&m, "running"))
            continue;
        if (cn_ctl_json_named(&m, "subscribers"))
            list = m;
        else if (cn_ctl_json_named(&m, "worker_list"))
            workers = m;
        else if (cn_ctl_json_named(&m, "subscribers_left_out"))
            (void)cn_ctl_json_value(&m, &left_out);
        else if (cn_ctl_json_named(&m, "uptime_s") && cn_ctl_json_value(&m, &number))
            uptime_print(view->out, number);
        else if (cn_ctl_json_named(&m, "bytes") && cn_ctl_json_value(&m, &number))
            fprintf(view->out, "%-*s%s\n", NAME_WIDTH, "moved", cn_ctl_octets(number).text);
        else
            member_print(view->out, &m);
    }
    list_print(view, &workers, "WORKER", "  CALLS         MB/S", worker_print);
    list_print(view, &list, "SUBSCRIBER", "WAITING  JOINED", subscriber_print);
    if (left_out > 0)
        fprintf(view->out, "and %" PRIu64 " more\n", left_out);
}

/* From the top of the terminal, as much as it has room for now: it must not scroll. */
static void draw(const char *text)
{
    struct winsize window = { 0 };
    size_t rows = SIZE_MAX, lines = 0, shown;
    int columns = INT_MAX;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 2 && window.ws_col > 0) {
        rows = window.ws_row - 1U;
        columns = window.ws_col;
    }
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    fputs("\033[H\033[J", stdout); /* to the top, and all below is cleared */
    shown = lines <= rows ? lines : rows - 1;
    for (size_t i = 0; i < shown; i++) {
        int size = (int)strcspn(text, "\n");

        printf("%.*s\n", size < columns ? size : columns, text);
        text += size + 1;
    }
    if (shown < lines)
        printf("and %zu more lines\n", lines - shown);
}

static void status_draw(const char *json, struct cn_registry *registry)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return;
    status_print(&(struct view) { out, registry }, json);
    if (fclose(out) == 0)
        draw(text);
    free(text);
}

static int status_once(struct cn_ctl *ctl, bool redraw)
{
    char reply[CN_CONTROL_REPLY_SIZE_MAX];
    struct cn_ctl_place place;
    bool running = false;
    bool good;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    good = cn_ctl_status_ask(ctl, &place, reply, sizeof reply, &running);
    if (good && ctl->arguments.json)
        puts(reply);
    else if (good && redraw)
        status_draw(reply, place.registry);
    else if (good)
        status_print(&(struct view) { stdout, place.registry }, reply);
    else if (ctl->arguments.json && !running)
        puts("{\"v\":1,\"event\":\"status\",\"running\":false}");
    cn_ctl_place_close(&place);
    return good ? CN_CTL_OK : CN_CTL_FAILED;
}

/* Until there is nobody to ask, or to read it. */
static int status_run(struct cn_ctl *ctl)
{
    const struct timespec second = { 1, 0 };
    bool redraw = ctl->arguments.watch && !ctl->arguments.json && isatty(STDOUT_FILENO);
    int code = status_once(ctl, redraw);

    while (ctl->arguments.watch && code == CN_CTL_OK && fflush(stdout) == 0) {
        nanosleep(&second, NULL);
        if (!redraw && !ctl->arguments.json)
            putchar('\n');
        code = status_once(ctl, redraw);
    }
    return code;
}

static const struct cn_ctl_option options[] = {
    { "watch", '\0', CN_CTL_FLAG, offsetof(struct cn_ctl_arguments, watch), NULL,
      "ask again every second; on a terminal in place" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_verb cn_ctl_status_verb = {
    .name = "status",
    .usage = "status [--json] [--watch]",
    .summary = "Ask the running server how it is doing",
    .help = "Shows how many lines wait and calls go on, who has them, and what has happened\n"
            "since the server was started; what never happened is left out. Exit code 1 if none\n"
            "runs on this directory.\n",
    .options = options,
    .run = status_run,
};
