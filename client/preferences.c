/* preferences.c - what the subscriber prefers: the file `config`, and the proxies of the
 * environment.
 */
#include <cyphernet/talk.h>
#include <cyphernet/transcript.h>

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "home.h"
#include "suite.h"

enum { PREFERENCES_SIZE_MAX = 16384 };

struct preferences {
    uint16_t suite[CN_CARD_LIST_SIZE_MAX];
    size_t suite_count;
    bool has_proxy;
    struct cn_proxy_setting proxy;
    bool has_transcript, transcript;
    bool has_undelivered, forget_undelivered;
    bool bad;
};

/* --- the file ------------------------------------------------------------------------------- */

/* "NAME, NAME, ..." */
static bool suites_parse(struct preferences *p, const char *value)
{
    char words[512];
    char *rest = words;
    char *word;

    if (strlen(value) >= sizeof words || p->suite_count > 0)
        return false;
    memcpy(words, value, strlen(value) + 1);
    while ((word = strsep(&rest, ", \t"))) {
        const struct cn_suite *suite;

        if (!*word)
            continue;
        suite = cn_suite_by_name(word);
        if (!suite || p->suite_count == CN_CARD_LIST_SIZE_MAX)
            return false;
        p->suite[p->suite_count++] = suite->code;
    }
    return p->suite_count > 0;
}

/* An URL, or "none" in spite of the environment. */
static bool proxy_parse(struct preferences *p, const char *value)
{
    if (p->has_proxy)
        return false;
    p->has_proxy = true;
    return strcmp(value, "none") == 0 || cn_proxy_setting_parse(&p->proxy, value) == CN_OK;
}

static bool transcript_parse(struct preferences *p, const char *value)
{
    if (p->has_transcript)
        return false;
    p->has_transcript = true;
    p->transcript = strcmp(value, "yes") == 0;
    return p->transcript || strcmp(value, "no") == 0;
}

static bool undelivered_parse(struct preferences *p, const char *value)
{
    if (p->has_undelivered)
        return false;
    p->has_undelivered = true;
    p->forget_undelivered = strcmp(value, "no") == 0;
    return p->forget_undelivered || strcmp(value, "yes") == 0;
}

static int preference(void *user, const char *section, const char *name, const char *value)
{
    static const struct {
        const char *name;
        bool (*parse)(struct preferences *p, const char *value);
    } keys[] = { { "suites", suites_parse },
                 { "proxy", proxy_parse },
                 { "transcript", transcript_parse },
                 { "undelivered", undelivered_parse } };
    struct preferences *p = user;
    bool good = false;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!section[0] && strcmp(name, keys[i].name) == 0)
            good = keys[i].parse(p, value ? value : "");
    }
    p->bad |= !good;
    return !p->bad;
}

static enum cn_err file_failed(struct cn_home *home, enum cn_err err, const char *path)
{
    if (err == CN_E_FULL)
        err = CN_E_CONFIG;
    return cn_home_fail(home, err, err == CN_E_SYSTEM ? errno : 0, path);
}

static void path_make(const struct cn_home *home, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", home->config, CN_PREFERENCES_FILE);
}

enum cn_err cn_home_preferences_read(struct cn_home *home, char *text, size_t text_size_max,
                                     size_t *text_size)
{
    char path[PATH_MAX];
    size_t most = text_size_max < PREFERENCES_SIZE_MAX ? text_size_max : PREFERENCES_SIZE_MAX;
    enum cn_err err;

    path_make(home, path);
    err = cn_file_read(path, false, text, most, text_size);
    return err == CN_OK || err == CN_E_ABSENT ? err : file_failed(home, err, path);
}

/* Absent: as if it were empty. What is read may be secret: wipe it. */
static enum cn_err preferences_take(struct cn_home *home, struct preferences *p)
{
    char path[PATH_MAX];
    char where[PATH_MAX + 32];
    char text[PREFERENCES_SIZE_MAX + 1];
    size_t size = 0;
    int line = 0;
    enum cn_err err = cn_home_preferences_read(home, text, PREFERENCES_SIZE_MAX, &size);

    if (err != CN_OK)
        return err == CN_E_ABSENT ? CN_OK : err;
    path_make(home, path);
    text[size] = '\0';
    line = strlen(text) == size ? ini_parse_string(text, preference, p) : 1;
    if (line == 0 && p->proxy.has_user) /* now it is a secret */
        err = cn_file_read(path, true, text, PREFERENCES_SIZE_MAX, &size);
    cn_wipe(text, sizeof text);
    if (line != 0) {
        snprintf(where, sizeof where, "%s, line %d", path, line);
        return cn_home_fail(home, CN_E_CONFIG, 0, where);
    }
    return err == CN_OK ? CN_OK : file_failed(home, err, path);
}

enum cn_err cn_home_suites(struct cn_home *home, uint16_t *suite, size_t suite_max, size_t *count)
{
    struct preferences p = { 0 };
    enum cn_err err = preferences_take(home, &p);

    if (err == CN_OK && p.suite_count > suite_max)
        err = CN_E_CONFIG;
    if (err == CN_OK) {
        memcpy(suite, p.suite, p.suite_count * sizeof suite[0]);
        *count = p.suite_count;
    }
    cn_wipe(&p, sizeof p);
    return err;
}

enum cn_err cn_home_preferences_check(struct cn_home *home)
{
    struct preferences p = { 0 };
    enum cn_err err = preferences_take(home, &p);

    cn_wipe(&p, sizeof p);
    return err;
}

enum cn_err cn_transcript_preferred(struct cn_home *home, bool *preferred)
{
    struct preferences p = { 0 };
    enum cn_err err = preferences_take(home, &p);

    if (err == CN_OK)
        *preferred = p.transcript;
    cn_wipe(&p, sizeof p);
    return err;
}

enum cn_err cn_undelivered_preferred(struct cn_home *home, bool *preferred)
{
    struct preferences p = { 0 };
    enum cn_err err = preferences_take(home, &p);

    if (err == CN_OK)
        *preferred = !p.forget_undelivered;
    cn_wipe(&p, sizeof p);
    return err;
}

/* --- the environment ------------------------------------------------------------------------ */

/* The first of them that is set and not empty; its name goes to *name. */
static const char *variable(const char *const *names, size_t count, const char **name)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = getenv(names[i]);

        *name = names[i];
        if (value && value[0])
            return value;
    }
    return NULL;
}

/* What is not understood must not lead past the proxy. */
static enum cn_err environment_proxy(struct cn_home *home, struct cn_proxy_setting *setting)
{
    static const char *const names[] = { "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY" };
    const char *name;
    const char *url = variable(names, sizeof names / sizeof names[0], &name);
    char about[128];

    if (!url)
        return CN_OK;
    if (cn_proxy_setting_parse(setting, url) != CN_OK)
        return cn_home_fail(home, CN_E_CONFIG, 0, name);
    if (setting->has_user) {
        snprintf(about, sizeof about,
                 "%s (users and passwords are taken from `proxy` in the preferences alone)", name);
        return cn_home_fail(home, CN_E_CONFIG, 0, about);
    }
    return CN_OK;
}

static enum cn_err environment_spared(struct cn_home *home, struct cn_proxy_setting *setting)
{
    static const char *const names[] = { "no_proxy", "NO_PROXY" };
    const char *name;
    const char *list = variable(names, sizeof names / sizeof names[0], &name);

    if (!list)
        return CN_OK;
    if (strlen(list) > CN_PROXY_SPARED_SIZE_MAX)
        return cn_home_fail(home, CN_E_CONFIG, 0, name);
    memcpy(setting->spared, list, strlen(list) + 1);
    return CN_OK;
}

enum cn_err cn_home_proxy(struct cn_home *home, struct cn_proxy_setting *setting)
{
    struct preferences p = { 0 };
    enum cn_err err = preferences_take(home, &p);

    if (err == CN_OK && !p.has_proxy)
        err = environment_proxy(home, &p.proxy);
    if (err == CN_OK)
        err = environment_spared(home, &p.proxy);
    if (err == CN_OK)
        *setting = p.proxy;
    cn_wipe(&p, sizeof p);
    return err;
}
