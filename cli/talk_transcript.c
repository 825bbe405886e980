/* talk_transcript.c - the transcript of a talk: whether one is kept, and what is in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"
#include "rows.h"
#include "talk.h"
#include "terminal.h"

enum { SAFE_SIZE = 5 * CN_TRANSCRIPT_TEXT_SIZE_MAX + 1 };

/* --- keeping one ---------------------------------------------------------------------------- */

static int cannot_keep(struct cn_cli *cli, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(cli->home);
    const char *name = cli->arguments[0];
    int code;

    if (err == CN_E_SYSTEM && detail->system_error == EWOULDBLOCK) {
        cn_error("%s: another talk is being kept there", detail->about);
        cn_hint("end that one, or talk with --no-transcript");
        return CN_EXIT_FAILED;
    }
    if (err == CN_E_NAME) {
        cn_error("%s: that is the transcript of somebody else", detail->about);
        cn_hint("find out who put it there; moved away, it is begun anew");
        return CN_EXIT_NOT_AUTHENTIC;
    }
    code = cn_fail(cli, err, "opening the transcript");
    if (err == CN_E_CHECKSUM || err == CN_E_FORMAT)
        cn_hint("`cyphernet talk --show-transcript %s` shows what can be read of it", name);
    return code;
}

int cn_talk_transcript_open(struct cn_talking *talking)
{
    struct cn_cli *cli = talking->cli;
    struct cn_transcript_state state = { 0 };
    bool wanted = cli->transcript;
    enum cn_err err = CN_OK;

    if (!wanted && !cli->no_transcript)
        err = cn_transcript_preferred(cli->home, &wanted);
    if (err != CN_OK)
        return cn_fail(cli, err, "preferences");
    if (!wanted)
        return CN_EXIT_DONE;
    err = cn_transcript_open(&talking->transcript, cli->home, talking->dial.name, &state);
    if (err != CN_OK)
        return cannot_keep(cli, err);
    if (state.is_cut)
        cn_warn("the transcript stopped short: what was said last then is lost");
    return CN_EXIT_DONE;
}

/* --- showing one ---------------------------------------------------------------------------- */

struct showing {
    struct cn_cli *cli;
    const char *contact;
    char my_name[65];
    struct cn_rows rows;
    bool is_sitting; /* it has not ended */
    char safe[SAFE_SIZE];
};

static void time_put(char out[32], uint64_t time_s)
{
    time_t when = (time_t)time_s;
    struct tm tm;

    out[0] = '\0';
    if (localtime_r(&when, &tm))
        strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

/* A word of ours: of a sitting, or about it. */
static void word_put(struct showing *s, const char *text)
{
    cn_rows_begin(&s->rows, "--- ", 0);
    cn_rows_put(&s->rows, text);
    cn_rows_end(&s->rows);
}

static void text_put(struct showing *s, const struct cn_transcript_record *record, const char *who)
{
    const char *text = record->text;
    size_t left = record->text_size;
    char head[160], when[32];
    const char *end;

    time_put(when, record->time_s);
    snprintf(head, sizeof head, "[%s] %s: ", when, who);
    cn_rows_begin(&s->rows, head, 0);
    do {
        end = memchr(text, '\n', left);
        size_t size = end ? (size_t)(end - text) : left;

        cn_rows_put(&s->rows, cn_printable(s->safe, sizeof s->safe, text, size));
        if (end)
            cn_rows_next(&s->rows);
        text += size + (end != NULL);
        left -= size + (end != NULL);
    } while (end);
    cn_rows_end(&s->rows);
}

static void begin_put(struct showing *s, const struct cn_transcript_record *record)
{
    char line[160], when[32], name[80];

    if (s->is_sitting)
        word_put(s, "this talk was cut off here");
    time_put(when, record->time_s);
    cn_printable(name, sizeof name, record->text, record->text_size);
    snprintf(line, sizeof line, "%s, with %s", when, name);
    word_put(s, line);
    s->is_sitting = true;
}

static void file_put(struct showing *s, const struct cn_transcript_record *record)
{
    char line[64], when[32];

    time_put(when, record->time_s);
    snprintf(line, sizeof line, "[%s] %s ", when,
             record->kind == CN_TRANSCRIPT_SENT ? "sent" : "received");
    cn_rows_begin(&s->rows, line, 0);
    cn_rows_put(&s->rows, cn_printable(s->safe, sizeof s->safe, record->text, record->text_size));
    cn_rows_end(&s->rows);
}

static void json_put(struct showing *s, const struct cn_transcript_record *record)
{
    static const char *const words[CN_TRANSCRIPT_KIND_END] = {
        [CN_TRANSCRIPT_BEGIN] = "begin",       [CN_TRANSCRIPT_SAID] = "said",
        [CN_TRANSCRIPT_HEARD] = "heard",       [CN_TRANSCRIPT_SENT] = "sent",
        [CN_TRANSCRIPT_RECEIVED] = "received", [CN_TRANSCRIPT_END] = "end",
    };

    printf("{\"v\":1,\"event\":\"record\",\"contact\":\"%s\",\"kind\":\"%s\",\"time\":%llu,"
           "\"text\":\"",
           s->contact, words[record->kind], (unsigned long long)record->time_s);
    cn_talk_json_put(stdout, s->safe, sizeof s->safe, record->text, record->text_size);
    puts("\"}");
}

static bool show(void *context, const struct cn_transcript_record *record)
{
    struct showing *s = context;

    if (s->cli->json) {
        json_put(s, record);
        return !ferror(stdout);
    }
    switch (record->kind) {
    case CN_TRANSCRIPT_BEGIN:
        begin_put(s, record);
        break;
    case CN_TRANSCRIPT_SAID:
        text_put(s, record, s->my_name[0] ? s->my_name : "me");
        break;
    case CN_TRANSCRIPT_HEARD:
        text_put(s, record, s->contact);
        break;
    case CN_TRANSCRIPT_SENT:
    case CN_TRANSCRIPT_RECEIVED:
        file_put(s, record);
        break;
    case CN_TRANSCRIPT_END:
        s->is_sitting = false;
        break;
    case CN_TRANSCRIPT_KIND_END:
        break;
    }
    return !ferror(stdout);
}

static int cannot_show(struct cn_cli *cli, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(cli->home);
    const char *name = cli->arguments[0];

    if (err == CN_E_ABSENT && strchr(detail->about, '/')) {
        cn_error("the transcript with %s cannot be read: its key, %s, is not there", name,
                 detail->about);
        cn_hint("restore it from a backup");
        return CN_EXIT_FAILED;
    }
    if (err == CN_E_ABSENT) {
        cn_error("there is no transcript of talks with %s", name);
        cn_hint(
            "`cyphernet talk --transcript` keeps one, or `transcript = yes` in the preferences");
        return CN_EXIT_FAILED;
    }
    if (err == CN_E_CHECKSUM || err == CN_E_FORMAT) {
        cn_error("%s: damaged, or changed by somebody: what follows cannot be read", detail->about);
        return CN_EXIT_NOT_AUTHENTIC;
    }
    if (err == CN_E_NAME && strchr(detail->about, '/')) {
        cn_error("%s: that is the transcript of somebody else", detail->about);
        return CN_EXIT_NOT_AUTHENTIC;
    }
    return cn_fail(cli, err, "reading the transcript");
}

int cn_talk_transcript_show(struct cn_cli *cli)
{
    struct showing *s = calloc(1, sizeof *s);
    struct cn_transcript_state state = { 0 };
    struct cn_contact_info info;
    enum cn_err err;
    bool written;

    if (!s)
        return cn_fail(cli, CN_E_MEMORY, "reading the transcript");
    s->cli = cli;
    s->contact = cli->arguments[0];
    s->rows = (struct cn_rows) { stdout, isatty(STDOUT_FILENO) ? cn_terminal_columns() : 0, 0 };
    if (cn_contact_show(cli->home, s->contact, &info) == CN_OK)
        memcpy(s->my_name, info.made_for, sizeof s->my_name);
    err = cn_transcript_read(cli->home, s->contact, show, s, &state);
    written = fflush(stdout) == 0 && !ferror(stdout);
    if (!written)
        cn_error("standard output: %s", strerror(errno));
    if (state.lacks_earlier)
        cn_say(cli, "what was said before that is not there any more");
    if (state.is_cut)
        cn_warn("the transcript stops short: what was said last is lost");
    cn_wipe(s->safe, sizeof s->safe);
    free(s);
    if (err != CN_OK)
        return cannot_show(cli, err);
    return written ? CN_EXIT_DONE : CN_EXIT_FAILED;
}
