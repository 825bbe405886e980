#include "demand.h"

#include <stdio.h>
#include <string.h>

#include "fingerprint.h"

enum { WORD_COUNT_MAX = 5 };

static const char *const services[] = {
    [CN_CALL_TALK] = "talk",
    [CN_CALL_PIPE] = "pipe",
    [CN_CALL_FILE] = "file",
    [CN_CALL_FORWARD] = "forward",
};

const char *cn_demand_service(enum cn_call_service service)
{
    return services[service];
}

/* Words with one blank between each. 0: it is not so. */
static size_t words_split(char *line, char *words[WORD_COUNT_MAX])
{
    size_t count = 0;
    char *rest = line;

    while (rest) {
        char *word = strsep(&rest, " ");

        if (!word[0] || count == WORD_COUNT_MAX)
            return 0;
        words[count++] = word;
    }
    return count;
}

static bool contact_take(struct cn_demand *demand, const char *word)
{
    if (!cn_name_valid(word))
        return false;
    memcpy(demand->contact, word, strlen(word) + 1);
    return true;
}

static bool service_take(struct cn_demand *demand, const char *word)
{
    for (size_t i = CN_CALL_TALK; i < sizeof services / sizeof services[0]; i++) {
        if (strcmp(word, services[i]) != 0)
            continue;
        demand->service = (enum cn_call_service)i;
        return true;
    }
    return false;
}

static bool role_take(struct cn_demand *demand, const char *word)
{
    demand->caller = strcmp(word, "call") == 0;
    return demand->caller || strcmp(word, "answer") == 0;
}

static bool words_take(struct cn_demand *demand, char *const *word, size_t count)
{
    if (count == 2 && strcmp(word[1], "here") == 0) {
        demand->kind = CN_DEMAND_HERE;
        return true;
    }
    if (count == 5 && strcmp(word[1], "leave") == 0) {
        demand->kind = CN_DEMAND_LEAVE;
        return contact_take(demand, word[2]) && service_take(demand, word[3]) &&
               role_take(demand, word[4]);
    }
    if (count == 3 && strcmp(word[1], "attach") == 0) {
        demand->kind = CN_DEMAND_ATTACH;
        return contact_take(demand, word[2]);
    }
    return false;
}

/* What a later version says may be of any form behind its number. */
static bool is_later(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && text[digits] == ' ' && (digits > 1 || text[0] != '1');
}

enum cn_err cn_demand_decode(struct cn_demand *demand, const char *line, size_t size)
{
    char text[CN_DEMAND_SIZE_MAX];
    char *words[WORD_COUNT_MAX];
    struct cn_demand r = { 0 };
    size_t count;

    if (size >= sizeof text || memchr(line, '\0', size))
        return CN_E_FORMAT;
    memcpy(text, line, size);
    text[size] = '\0';
    if (is_later(text))
        return CN_E_VERSION;
    count = words_split(text, words);
    if (count == 0 || strcmp(words[0], "1") != 0)
        return CN_E_FORMAT;
    if (!words_take(&r, words, count))
        return CN_E_FORMAT;
    *demand = r;
    return CN_OK;
}

void cn_demand_encode(const struct cn_demand *demand, char out[CN_DEMAND_SIZE_MAX])
{
    switch (demand->kind) {
    case CN_DEMAND_HERE:
        snprintf(out, CN_DEMAND_SIZE_MAX, "1 here\n");
        break;
    case CN_DEMAND_LEAVE:
        snprintf(out, CN_DEMAND_SIZE_MAX, "1 leave %s %s %s\n", demand->contact,
                 services[demand->service], demand->caller ? "call" : "answer");
        break;
    case CN_DEMAND_ATTACH:
        snprintf(out, CN_DEMAND_SIZE_MAX, "1 attach %s\n", demand->contact);
        break;
    }
}
