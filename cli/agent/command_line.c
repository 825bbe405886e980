#include "command_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Words being put together: pointers first, then what they point to, in one block. */
struct words {
    char **at; /* the block */
    size_t count;
    char *end; /* where the next octet goes */
};

/* Room for so many words of so many octets together, their ends among them. */
static bool words_begin(struct words *w, size_t count_max, size_t size_max)
{
    w->at = calloc(1, (count_max + 1) * sizeof w->at[0] + size_max);
    w->count = 0;
    if (!w->at)
        return false;
    w->end = (char *)(w->at + count_max + 1);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One word from *text, which moves behind it. False: a quote has no second. */
static bool word_take(struct words *w, const char **text)
{
    const char *c = *text;
    char quote = '\0';

    w->at[w->count++] = w->end;
    for (; *c && (quote || !is_blank(*c)); c++) {
        if (quote ? *c == quote : *c == '"' || *c == '\'')
            quote = quote ? '\0' : *c;
        else
            *w->end++ = *c;
    }
    *w->end++ = '\0';
    *text = c;
    return !quote;
}

enum cn_err cn_command_line_split(const char *text, char ***words)
{
    size_t size = strlen(text);
    struct words w;

    if (!words_begin(&w, size / 2 + 1, size + 1))
        return CN_E_MEMORY;
    for (;;) {
        while (is_blank(*text))
            text++;
        if (!*text)
            break;
        if (!word_take(&w, &text)) {
            free(w.at);
            return CN_E_FORMAT;
        }
    }
    if (w.count == 0 || !w.at[0][0]) {
        free(w.at);
        return CN_E_FORMAT;
    }
    *words = w.at;
    return CN_OK;
}

char **cn_command_line_for(char *const *words, const char *contact)
{
    size_t count = 0, size = 0;
    struct words w;

    for (; words[count]; count++) {
        size_t marks = 0;

        for (const char *c = words[count]; *c; c++)
            marks += *c == '%';
        size += strlen(words[count]) + 1 + marks * strlen(contact);
    }
    if (!words_begin(&w, count, size))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        w.at[i] = w.end;
        for (const char *c = words[i]; *c; c++) {
            if (c[0] == '%' && c[1] == 'n')
                w.end = stpcpy(w.end, contact);
            else
                *w.end++ = *c;
            c += c[0] == '%' && (c[1] == 'n' || c[1] == '%');
        }
        *w.end++ = '\0';
    }
    return w.at;
}
