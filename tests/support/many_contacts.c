/* many_contacts make FINGERPRINT NUMBER: gives the home of the environment, which is ann's, so many
 * contacts p000, p001 ..., whose homes lie in the working directory and share the fingerprint.
 * many_contacts answer CALLS SERVICE...: waits for all contacts and these services, on as few lines
 * as the server lets it, until so many calls are over. What comes by pipe is sent back; whatever
 * else is refused. Tells what happens, a line each. */
#include <cyphernet.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_COUNT_MAX = 8, PIPE_KIND = 1 };

struct line {
    struct cn_call *call;
    const struct cn_call_want *wants;
    size_t count;
    struct cn_stream *stream;
};

static struct cn_home *home;
static struct cn_call_want *wants;
static size_t want_count;
static struct line lines[LINE_COUNT_MAX];
static size_t line_count;
static long calls_left;

static void need(enum cn_err err, const char *what)
{
    if (err == CN_OK)
        return;
    printf("failed %s: %s: %s\n", what, cn_err_text(err), cn_home_detail(home)->about);
    exit(1);
}

/* --- make ----------------------------------------------------------------------------------- */

static void exchange(struct cn_home *other, const char *name)
{
    static char text[CN_TEXT_SIZE_MAX];
    size_t size = sizeof text;

    need(cn_contact_offer(home, name, false, text, &size), "offer");
    need(cn_contact_accept(other, "ann", text, size, false), "accept");
    size = sizeof text;
    need(cn_contact_offer(other, "ann", false, text, &size), "offer");
    need(cn_contact_accept(home, name, text, size, false), "accept");
}

static int make(const char *path, unsigned number)
{
    static char text[CN_TEXT_SIZE_MAX];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text, file) : 0;

    if (file)
        (void)fclose(file);
    for (unsigned i = 0; i < number; i++) {
        struct cn_home *other;
        char name[16];

        snprintf(name, sizeof name, "p%03u", i);
        need(cn_home_open(&other, name), name);
        need(cn_home_join(other, text, size, false), "join");
        exchange(other, name);
        cn_home_close(other);
    }
    return 0;
}

/* --- answer --------------------------------------------------------------------------------- */

static const char *const services[] = {
    [CN_CALL_TALK] = "talk",
    [CN_CALL_PIPE] = "pipe",
    [CN_CALL_FILE] = "file",
    [CN_CALL_FORWARD] = "forward",
};

static enum cn_call_service service_of(const char *name)
{
    for (enum cn_call_service i = CN_CALL_TALK; i <= CN_CALL_FORWARD; i++) {
        if (strcmp(services[i], name) == 0)
            return i;
    }
    exit(2);
}

static void wants_make(char **names, size_t name_count)
{
    struct cn_contact_info *list;
    size_t count;

    need(cn_contact_list(home, &list, &count), "list");
    wants = calloc(count * name_count + 1, sizeof *wants);
    if (!wants)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < name_count; k++)
            wants[want_count++] =
                (struct cn_call_want) { list[i].name, service_of(names[k]), false };
    }
}

static void line_open(struct line *line)
{
    line->stream = NULL;
    need(cn_call_open_any(&line->call, home, line->wants, line->count, -1), "open");
}

/* So many lines as it takes, if each may have that many wants. */
static void lines_open(size_t most)
{
    for (size_t at = 0; at < want_count; at += most) {
        struct line *line = &lines[line_count++];

        if (line_count > LINE_COUNT_MAX)
            exit(1);
        *line = (struct line) { .wants = wants + at,
                                .count = want_count - at < most ? want_count - at : most };
        line_open(line);
    }
}

static void echo(struct line *line)
{
    const uint8_t *from;
    size_t size;

    while (line->stream && (from = cn_stream_peek(line->stream, &size))) {
        size_t room;
        uint8_t *to = cn_stream_reserve(line->stream, &room);

        if (!to)
            return;
        size = size < room ? size : room;
        memcpy(to, from, size);
        cn_stream_commit(line->stream, size);
        cn_stream_consume(line->stream, size);
    }
    if (line->stream && cn_stream_state(line->stream) == CN_STREAM_ENDED) {
        cn_stream_finish(line->stream);
        cn_call_finish(line->call);
    }
}

static void opened(struct line *line)
{
    if (cn_call_service(line->call) != CN_CALL_PIPE)
        cn_call_cancel(line->call, CN_E_REFUSED);
    else if (cn_call_is_caller(line->call))
        need(cn_stream_open(line->call, PIPE_KIND, NULL, 0, &line->stream), "stream");
}

static void closed(struct line *line, enum cn_err err)
{
    const size_t most = cn_call_wants_max(line->call);
    const bool split = err == CN_E_LIMIT && line_count == 1;
    const char *who = cn_call_contact(line->call);

    printf("closed %s: %s\n", who ? who : "nobody", cn_err_text(err));
    cn_call_free(line->call);
    line->call = NULL;
    if (split) {
        printf("limit %zu of %zu\n", most, want_count);
        line_count = 0;
        lines_open(most);
    } else if (err == CN_OK || err == CN_E_CANCELLED) {
        calls_left--;
        line_open(line);
    } else {
        need(err, "call");
    }
}

static void take(struct line *line, const struct cn_event *event)
{
    if (event->type == CN_EVENT_WAITING)
        printf("waiting for %zu\n", line->count);
    else if (event->type == CN_EVENT_JOINED)
        printf("joined %s %s\n", cn_call_contact(line->call),
               services[cn_call_service(line->call)]);
    else if (event->type == CN_EVENT_OPEN)
        opened(line);
    else if (event->type == CN_EVENT_STREAM)
        line->stream = event->stream;
    echo(line);
    if (event->type == CN_EVENT_CLOSED)
        closed(line, event->err);
    (void)fflush(stdout);
}

static void turn(void)
{
    struct pollfd p[LINE_COUNT_MAX * CN_CALL_DESCRIPTORS_MAX];
    size_t count = 0;
    int due_ms = -1;

    for (size_t i = 0; i < line_count; i++) {
        int ms = cn_call_timeout_ms(lines[i].call);

        if (ms >= 0 && (due_ms < 0 || ms < due_ms))
            due_ms = ms;
        count += cn_call_descriptors(lines[i].call, p + count, CN_CALL_DESCRIPTORS_MAX);
    }
    (void)poll(p, count, due_ms);
    for (size_t i = 0; i < line_count; i++) {
        struct cn_event event;

        cn_call_process(lines[i].call);
        while (cn_call_next_event(lines[i].call, &event)) {
            take(&lines[i], &event);
            if (event.type == CN_EVENT_CLOSED)
                break;
        }
    }
}

static int answer(char **names, size_t name_count)
{
    wants_make(names, name_count);
    lines_open(want_count);
    while (calls_left > 0)
        turn();
    for (size_t i = 0; i < line_count; i++)
        cn_call_free(lines[i].call);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4 || cn_home_open(&home, getenv("CYPHERNET_HOME")) != CN_OK)
        return 2;
    if (strcmp(argv[1], "make") == 0)
        return make(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    calls_left = strtol(argv[2], NULL, 10);
    return answer(argv + 3, (size_t)argc - 3);
}
