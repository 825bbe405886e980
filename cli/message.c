#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "crypto.h"
#include "utf8.h"

enum { TEXT_SIZE_MAX = 6144, MARKS_MAX = 4 /* more of them climb over the lines above */ };

/* Where they go while a terminal is ours; NULL: to standard error. */
static cn_message_shower *shower;
static void *shower_context;

void cn_messages_to(cn_message_shower *show, void *context)
{
    shower = show;
    shower_context = context;
}

static void put(const char *kind, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void put(const char *kind, const char *format, va_list args)
{
    char text[TEXT_SIZE_MAX], safe[TEXT_SIZE_MAX], line[TEXT_SIZE_MAX + 32];
    int size = vsnprintf(text, sizeof text, format, args);

    if (size < 0)
        return;
    if ((size_t)size >= sizeof text)
        size = (int)sizeof text - 1;
    /* paths and the like may hold anything: one message stays one line */
    snprintf(line, sizeof line, "cyphernet: %s%s", kind,
             cn_printable(safe, sizeof safe, text, (size_t)size));
    if (shower)
        shower(shower_context, line);
    else
        fprintf(stderr, "%s\n", line);
}

void cn_tell(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put("", format, args);
    va_end(args);
}

void cn_say(const struct cn_cli *cli, const char *format, ...)
{
    va_list args;

    if (cli->quiet)
        return;
    va_start(args, format);
    put("", format, args);
    va_end(args);
}

void cn_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put("warning: ", format, args);
    va_end(args);
}

void cn_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put("error: ", format, args);
    va_end(args);
}

void cn_hint(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put("hint: ", format, args);
    va_end(args);
}

int cn_misuse(const struct cn_cli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put("error: ", format, args);
    va_end(args);
    cn_hint("usage: cyphernet %s", cli->usage ? cli->usage : cli->command->usage);
    return CN_EXIT_USAGE;
}

/* Exit code and usual hint of each error; 0 stands for CN_EXIT_FAILED. */
static const struct {
    int code;
    const char *hint;
} rows[CN_ERR_COUNT] = {
    [CN_E_AUTH] = { CN_EXIT_NOT_AUTHENTIC,
                    "whoever answered does not hold the card you have; compare `cyphernet contact "
                    "verify` at both ends, and exchange cards again if they differ" },
    [CN_E_KEY] = { CN_EXIT_NOT_AUTHENTIC, NULL },
    [CN_E_VERSION] = { 0, "made by a newer version: update this program" },
    [CN_E_KIND] = { 0, NULL },
    [CN_E_ARMOR] = { 0, "the text must be whole, from its -----BEGIN CYPHERNET line to its END "
                        "line, and nothing else" },
    [CN_E_TRUNCATED] = { 0, "copy it again, up to and with its -----END line" },
    [CN_E_CHECKSUM] = { CN_EXIT_NOT_AUTHENTIC, "it was changed on the way: ask for it again" },
    [CN_E_SUITE] = { 0, "one of you must update, or offer more suites (`suites` in the "
                        "preferences)" },
    [CN_E_SERVER] = { 0, "both of you must have joined the same server" },
    [CN_E_OWN] = { 0, "hand this card to the other one, and accept his" },
    [CN_E_NAME] = { CN_EXIT_USAGE, "names are 1 to 64 letters, digits, dots, underscores and "
                                   "hyphens, beginning with a letter or digit" },
    [CN_E_USAGE] = { CN_EXIT_USAGE, NULL },
    [CN_E_UNREACHABLE] = { CN_EXIT_UNREACHABLE,
                           "is the network up, and the server running? try again" },
    [CN_E_HUNG_UP] = { CN_EXIT_UNREACHABLE,
                       "another server may answer there, or it does not know your operator: ask "
                       "for a new fingerprint; if it is only busy, try again" },
    [CN_E_ADMISSION] = { CN_EXIT_NOT_ADMITTED, NULL },
    [CN_E_TIMEOUT] = { CN_EXIT_NO_PARTNER, NULL },
    [CN_E_INTERRUPTED] = { CN_EXIT_INTERRUPTED, NULL },
    [CN_E_ANEW] = { CN_EXIT_INTERRUPTED, NULL },
    [CN_E_REFUSED] = { CN_EXIT_REFUSED, NULL },
    [CN_E_CANCELLED] = { CN_EXIT_INTERRUPTED, NULL },
    [CN_E_MEMORY] = { 0, "close other programs" },
    [CN_E_SEALED] = { 0, "the passphrase was set, or changed anew, meanwhile: try again" },
    [CN_E_MIXED] = { 0, "give the parts of one card only" },
    [CN_E_CONFIG] = { 0, "cyphernet(1) says under FILES and ENVIRONMENT what it may hold; without "
                         "it the defaults are used" },
    [CN_E_PROXY] = { CN_EXIT_UNREACHABLE, "`proxy` in the preferences, or else ALL_PROXY or "
                                          "HTTPS_PROXY, says which proxy "
                                          "is used; NO_PROXY, for which hosts none is" },
};

int cn_exit_code(enum cn_err err)
{
    if (err == CN_OK)
        return CN_EXIT_DONE;
    return rows[err].code ? rows[err].code : CN_EXIT_FAILED;
}

/* What tells damage, of texts handed over as of files. */
static bool is_damage(enum cn_err err)
{
    return err == CN_E_ARMOR || err == CN_E_KIND || err == CN_E_TRUNCATED || err == CN_E_CHECKSUM ||
           err == CN_E_FORMAT;
}

bool cn_is_missing_file(enum cn_err err, const char *about)
{
    return err == CN_E_ABSENT && strchr(about, '/');
}

bool cn_is_no_contact(const struct cn_cli *cli, enum cn_err err, const char *name)
{
    return err == CN_E_ABSENT && strcmp(cn_home_detail(cli->home)->about, name) == 0;
}

int cn_no_contact(const char *name)
{
    cn_error("there is no contact '%s'", name);
    cn_hint("`cyphernet contact list` shows your contacts; `cyphernet doctor` what is missing");
    return CN_EXIT_FAILED;
}

int cn_fail(const struct cn_cli *cli, enum cn_err err, const char *what)
{
    const struct cn_detail *detail = cn_home_detail(cli->home);
    char about[1024];

    cn_printable(about, sizeof about, detail->about, strlen(detail->about));
    if (detail->system_error)
        cn_error("%s: %s%s%s", what, about, about[0] ? ": " : "", strerror(detail->system_error));
    else
        cn_error("%s: %s%s%s", what, about, about[0] ? ": " : "", cn_err_text(err));
    if (err == CN_E_OPEN_MODE)
        cn_hint("chmod 600 '%s', which must be a file of yours", about);
    else if (detail->system_error == ENOSPC || detail->system_error == EDQUOT)
        cn_hint("make room on the disk and try again; nothing was changed");
    else if (detail->system_error == ELOOP)
        cn_hint("a file with secrets must be there itself: move it to where the link is");
    else if (cn_is_missing_file(err, about))
        cn_hint("`cyphernet join FILE` comes first, with the fingerprint file of a server's "
                "operator; it makes the identity too, as `cyphernet init` does");
    else if (about[0] && is_damage(err)) /* a file of ours: nobody can send it again */
        cn_hint(CN_HINT_DAMAGED);
    else if (err == CN_E_SEALED && about[0])
        cn_hint("its key, `storage.key`, is not there: restore both from a copy");
    else if (rows[err].hint)
        cn_hint("%s", rows[err].hint);
    return cn_exit_code(err);
}

const char *cn_count_text(char out[CN_COUNT_TEXT_SIZE], uint64_t count, const char *one)
{
    snprintf(out, CN_COUNT_TEXT_SIZE, "%llu %s%s", (unsigned long long)count, one,
             count == 1 ? "" : "s");
    return out;
}

/* Marks that are put over the character before them, of any script's or none's. */
static bool is_mark(uint32_t code)
{
    return (code >= 0x0300 && code <= 0x036f) || (code >= 0x0483 && code <= 0x0489) ||
           (code >= 0x1ab0 && code <= 0x1aff) || (code >= 0x1dc0 && code <= 0x1dff) ||
           (code >= 0x20d0 && code <= 0x20ff) || (code >= 0xfe00 && code <= 0xfe0f) ||
           (code >= 0xfe20 && code <= 0xfe2f);
}

/* Control characters, and what turns the text around or is not seen: first and last. */
static const uint32_t unshown[][2] = {
    { 0x0000, 0x001f },   { 0x007f, 0x009f }, { 0x00ad, 0x00ad }, { 0x034f, 0x034f },
    { 0x061c, 0x061c },   { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
    { 0x200b, 0x200f },   { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
    { 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 }, { 0xfff9, 0xfffb }, { 0x1d173, 0x1d17a },
    { 0xe0000, 0xe0fff },
};

/* The octets of a whole UTF-8 character that may be shown, or 0. */
static size_t shown(const char *text, size_t left, bool *mark)
{
    uint32_t code = 0;
    size_t n = cn_utf8_decode(text, left, &code);

    for (size_t i = 0; i < sizeof unshown / sizeof unshown[0]; i++) {
        if (code >= unshown[i][0] && code <= unshown[i][1])
            return 0;
    }
    *mark = is_mark(code);
    return n;
}

char *cn_printable(char *out, size_t size, const char *text, size_t text_size)
{
    size_t used = 0;
    size_t marks = 0; /* one after the other */

    for (size_t i = 0; i < text_size;) {
        bool mark = false;
        size_t n = shown(text + i, text_size - i, &mark);
        char piece[5] = { 0 };

        marks = mark ? marks + 1 : 0;
        if (marks > MARKS_MAX)
            n = 0;
        if (n > 0)
            memcpy(piece, text + i, n);
        else
            snprintf(piece, sizeof piece, "\\x%02x", (unsigned char)text[i]);
        if (used + strlen(piece) + 1 > size)
            break;
        memcpy(out + used, piece, strlen(piece));
        used += strlen(piece);
        i += n > 0 ? n : 1;
    }
    out[used] = '\0';
    return out;
}

/* The first character of text as a JSON string has it; how many octets of text that was. */
static size_t json_piece(char piece[8], const char *c, size_t left)
{
    bool mark;
    size_t n = shown(c, left, &mark);

    if (n == 0)
        snprintf(piece, 8, "\\\\x%02x",
                 (unsigned char)*c); /* the backslash is the text's, as cn_printable writes it */
    else if (*c == '"' || *c == '\\')
        snprintf(piece, 8, "\\%c", *c);
    else
        snprintf(piece, 8, "%.*s", (int)n, c);
    return n > 0 ? n : 1;
}

void cn_json_string(const char *text)
{
    size_t left = strlen(text);
    char piece[8];

    putchar('"');
    while (left > 0) {
        size_t used = json_piece(piece, text, left);

        fputs(piece, stdout);
        text += used;
        left -= used;
    }
    putchar('"');
}

char *cn_json_text(char *out, size_t size, const char *text, size_t text_size)
{
    size_t used = 0;
    char piece[8];

    for (size_t i = 0; i < text_size;) {
        i += json_piece(piece, text + i, text_size - i);
        if (used + strlen(piece) + 1 > size)
            break;
        memcpy(out + used, piece, strlen(piece));
        used += strlen(piece);
    }
    out[used] = '\0';
    return out;
}

bool cn_is_shown(const char *text, size_t size)
{
    size_t n = 1;
    bool mark;

    for (size_t i = 0; i < size && n > 0; i += n)
        n = shown(text + i, size - i, &mark);
    return n > 0;
}

char *cn_json_member(char *out, size_t size, const char *key, const char *text)
{
    const size_t room = size / 7 > 10 ? size / 7 - 10 : 0;
    size_t text_size = strlen(text);
    size_t used;

    if (text_size > room)
        text_size = room;
    used = (size_t)snprintf(out, size, "\"%s\":\"", key);
    cn_json_text(out + used, size - used, text, text_size);
    used = strlen(out);
    used += (size_t)snprintf(out + used, size - used, "\"");
    if (cn_is_shown(text, text_size))
        return out;
    used += (size_t)snprintf(out + used, size - used, ",\"%s_base64\":\"", key);
    cn_base64_encode(out + used, text, text_size);
    used = strlen(out);
    snprintf(out + used, size - used, "\"");
    return out;
}
