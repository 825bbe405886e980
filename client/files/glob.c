#include "filter.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

struct glob {
    const char *at, *end;
};

/* What a pattern's next octet is; a backslash makes it itself. False: nothing is there. */
static bool octet_take(struct glob *p, uint8_t *octet)
{
    if (p->at < p->end && *p->at == '\\')
        p->at++;
    if (p->at == p->end)
        return false;
    *octet = (uint8_t)*p->at++;
    return true;
}

/* --- sets: [a-z], after the opening bracket ------------------------------------------------- */

static bool class_has(const char *name, size_t size, uint8_t octet, bool *has)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } classes[] = {
        { "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank }, { "cntrl", iscntrl },
        { "digit", isdigit }, { "graph", isgraph }, { "lower", islower }, { "print", isprint },
        { "punct", ispunct }, { "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
    };

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strlen(classes[i].name) != size || memcmp(classes[i].name, name, size) != 0)
            continue;
        *has = octet < 128 && classes[i].is(octet);
        return true;
    }
    return false;
}

/* [:name:], at its bracket: taken, if it is one. *is_good: the name is known. */
static bool class_take(struct glob *p, uint8_t octet, bool *has, bool *is_good)
{
    const char *name = p->at + 2;
    const char *close;

    if (p->end - p->at < 2 || p->at[0] != '[' || p->at[1] != ':')
        return false;
    close = memchr(name, ']', (size_t)(p->end - name));
    if (close && (close == name || close[-1] != ':'))
        return false;
    *is_good = close && class_has(name, (size_t)(close - name - 1), octet, has);
    p->at = close ? close + 1 : p->end;
    return true;
}

/* One octet, or a range of them. False: the set ends before it does. */
static bool range_take(struct glob *p, uint8_t octet, bool *has)
{
    uint8_t low, high;

    if (!octet_take(p, &low))
        return false;
    *has |= low == octet;
    if (p->end - p->at < 2 || p->at[0] != '-' || p->at[1] == ']')
        return true;
    p->at++;
    if (!octet_take(p, &high))
        return false;
    *has |= low <= octet && octet <= high;
    return true;
}

/* Whether octet is in a set, which is taken. A set that does not end has nothing. */
static bool set_has(struct glob *p, uint8_t octet)
{
    bool negated = p->at < p->end && (*p->at == '!' || *p->at == '^');
    bool has = false;
    bool is_first = true;

    if (negated)
        p->at++;
    while (p->at < p->end && (*p->at != ']' || is_first)) {
        bool class_contains = false;
        bool is_good = true;

        if (class_take(p, octet, &class_contains, &is_good)) {
            if (!is_good)
                return false;
            has |= class_contains;
        } else if (!range_take(p, octet, &has)) {
            return false;
        }
        is_first = false;
    }
    if (p->at == p->end)
        return false;
    p->at++;
    return has != negated && octet != '/';
}

/* --- patterns ------------------------------------------------------------------------------- */

/* Whether the next of the pattern, which is no star, matches an octet. */
static bool one_matches(struct glob *p, uint8_t octet)
{
    uint8_t literal;

    if (p->at == p->end)
        return false;
    switch (*p->at) {
    case '?':
        p->at++;
        return octet != '/';
    case '[':
        p->at++;
        return set_has(p, octet);
    default:
        return octet_take(p, &literal) && literal == octet;
    }
}

/* Where a match may go on after it failed: one octet further in this part of the path, or one part
 * further. Only the last of each counts: what an earlier star takes decides nothing about a later
 * part, and the first place where all between two ** matches is as good as any other. */
struct again {
    const char *pattern; /* NULL: nowhere */
    const char *text;
};

static bool part_retry(struct again *star, struct again *parts, const char *end)
{
    if (star->pattern && star->text < end && *star->text != '/') {
        star->text++;
        return true;
    }
    star->pattern = NULL;
    if (!parts->pattern)
        return false;
    parts->text = memchr(parts->text, '/', (size_t)(end - parts->text));
    if (!parts->text)
        return false;
    parts->text++;
    return true;
}

bool cn_glob_matches(const char *pattern, size_t pattern_size, const char *text, size_t size)
{
    struct glob p = { .at = pattern, .end = pattern + pattern_size };
    const char *end = text + size;
    struct again star = { NULL, NULL };
    struct again parts = { NULL, NULL };

    for (;;) {
        const char *begin = p.at;

        if (p.at == p.end && text == end)
            return true;
        while (p.at < p.end && *p.at == '*')
            p.at++;
        if (p.at - begin >= 2 && (begin == pattern || begin[-1] == '/') && p.at == p.end)
            return true;
        if (p.at - begin >= 2 && (begin == pattern || begin[-1] == '/') && *p.at == '/') {
            p.at++;
            parts = (struct again) { p.at, text };
            star.pattern = NULL;
        } else if (p.at > begin) {
            star = (struct again) { p.at, text };
        } else if (text < end && one_matches(&p, (uint8_t)*text)) {
            if (*text++ == '/')
                star.pattern = NULL;
        } else if (part_retry(&star, &parts, end)) {
            p.at = star.pattern ? star.pattern : parts.pattern;
            text = star.pattern ? star.text : parts.text;
        } else {
            return false;
        }
    }
}
