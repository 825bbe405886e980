#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "armor.h"
#include "keyfile.h"
#include "revocations.h"

enum { TEXT_SIZE_MAX = CN_ARMOR_REVOCATIONS_BODY_SIZE_MAX / 48 * 65 + 4096 };

static const char *name_of(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* --- a list, at the server ------------------------------------------------------------------- */

/* Whether this server is to believe the list. */
static bool list_fits(const struct cn_ctl *ctl, const struct cn_ctl_place *place,
                      const struct cn_revocations *list, const char *name)
{
    const struct cn_settings *s = &place->settings;
    bool believed = false;

    for (size_t i = 0; i < s->operator_count; i++)
        believed |= memcmp(s->operators[i].bytes, list->operator_key.bytes,
                           sizeof list->operator_key.bytes) == 0; /* public */
    if (!believed) {
        cn_ctl_error("%s: from an operator whom this server does not believe", name);
        cn_ctl_hint("nothing has been changed; %s/%s says whom it believes", ctl->arguments.dir,
                    CN_OPERATOR_PUBLIC_FILE);
        return false;
    }
    if (memcmp(s->server_key.bytes, list->server.bytes, sizeof list->server.bytes) != 0) {
        cn_ctl_error("%s: for another server of this operator", name);
        cn_ctl_hint("nothing has been changed; the operator imports this server's %s where he"
                    " issues for it",
                    CN_SERVER_PUBLIC_FILE);
        return false;
    }
    if (cn_ctl_operator_here(place)) {
        cn_ctl_error("%s: the operator's key is here, and so is all that the file says", name);
        return false;
    }
    return true;
}

static bool list_enter(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                       const struct cn_revocations *list, const char *name)
{
    const struct cn_imported imported = {
        .number = list->number,
        .blocked = list->blocked,
        .blocked_count = list->blocked_count,
        .held = list->held,
        .held_count = list->held_count,
        .common = list->common,
    };
    enum cn_err err = cn_notices_import(place->registry, &imported);

    if (err == CN_E_KNOWN) {
        cn_ctl_error("%s: older than what this server has been told", name);
        cn_ctl_hint("nothing has been changed; have a new one made: cyphernetctl"
                    " export-revocations -o FILE");
    } else if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
    }
    return err == CN_OK;
}

static bool list_import(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                        const struct cn_revocations *list, const char *name)
{
    bool running = false;
    bool told;

    if (!list_fits(ctl, place, list, name) || !list_enter(ctl, place, list, name))
        return false;
    told = cn_ctl_server_tell(place, &running);
    if (ctl->arguments.json)
        printf("{\"v\":1,\"event\":\"imported\",\"number\":\"%llu\",\"blocked\":%zu,"
               "\"notices\":%zu,\"running\":%s}\n",
               (unsigned long long)list->number, list->blocked_count,
               list->held_count + (list->common.size > 0), running ? "true" : "false");
    cn_ctl_note("%zu certificates blocked, %zu notices", list->blocked_count,
                list->held_count + (list->common.size > 0));
    if (told)
        cn_ctl_note(running ? "the running server knows of it"
                            : "no server runs here: it takes effect at the next start");
    return told;
}

/* --- a server's public key, where the operator's key is --------------------------------------- */

/* Fingerprints name the server: none may have been issued for another. */
static bool server_free(const struct cn_ctl *ctl, struct cn_ctl_place *place)
{
    struct cn_subscriber *list = NULL;
    size_t count = 0;
    enum cn_err err = cn_registry_list(place->registry, &list, &count);

    free(list);
    if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
        return false;
    }
    if (count == 0)
        return true;
    cn_ctl_error("fingerprints have been issued here for another server already");
    cn_ctl_hint("nothing has been changed; `init` makes another directory for this server");
    return false;
}

static enum cn_err server_write(const struct cn_ctl *ctl, struct cn_ctl_place *place)
{
    enum cn_err err = cn_registry_begin(place->registry);

    if (err == CN_OK)
        err = cn_settings_write(place->registry, &place->settings);
    if (err == CN_OK && unlinkat(place->dir, CN_SERVER_PUBLIC_FILE, 0) != 0 && errno != ENOENT)
        err = CN_E_SYSTEM;
    if (err == CN_OK)
        err = cn_keyfile_write(&ctl->crypto, place->dir, CN_SERVER_PUBLIC_FILE,
                               CN_ARMOR_SERVER_PUBLIC, place->settings.server_key.bytes);
    return err == CN_OK ? cn_registry_commit(place->registry) : err;
}

static bool server_import(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                          const struct cn_server_public *key)
{
    struct cn_server_public *mine = &place->settings.server_key;
    enum cn_err err;

    if (!cn_ctl_operator_here(place)) {
        cn_ctl_error("this is a server's public key, and the operator's key is not in %s",
                     ctl->arguments.dir);
        cn_ctl_hint("import it where %s is", CN_OPERATOR_KEY_FILE);
        return false;
    }
    if (memcmp(mine->bytes, key->bytes, sizeof key->bytes) != 0 && !server_free(ctl, place))
        return false;
    *mine = *key;
    err = server_write(ctl, place);
    if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
        return false;
    }
    if (ctl->arguments.json)
        puts("{\"v\":1,\"event\":\"imported\",\"server\":true}");
    cn_ctl_note("fingerprints are issued for that server from now on");
    return true;
}

/* --- either ---------------------------------------------------------------------------------- */

static const char *hint_for(enum cn_err err)
{
    if (err == CN_E_CHECKSUM || err == CN_E_TRUNCATED || err == CN_E_AUTH)
        return "it was changed on the way: have it sent again, whole";
    if (err == CN_E_VERSION)
        return "it was made by a later cyphernetctl: upgrade this one";
    return "`cyphernetctl export-revocations -o FILE` makes it where the operator's key is";
}

static enum cn_err key_decode(const struct cn_ctl *ctl, const char *text, size_t size,
                              struct cn_server_public *key)
{
    return cn_keyfile_decode(&ctl->crypto, CN_ARMOR_SERVER_PUBLIC, text, size, key->bytes);
}

static bool text_import(const struct cn_ctl *ctl, struct cn_ctl_place *place, const char *text,
                        size_t size)
{
    const char *name = name_of(ctl->arguments.operand[0]);
    struct cn_revocations list = { 0 };
    struct cn_server_public key;
    bool is_key = cn_armor_kind_of(text, size) == CN_ARMOR_SERVER_PUBLIC;
    enum cn_err err = is_key ? key_decode(ctl, text, size, &key)
                             : cn_revocations_decode(&ctl->crypto, text, size, &list);
    bool good = err == CN_OK;

    if (!good) {
        cn_ctl_error("%s: %s", name, cn_ctl_reason(err));
        cn_ctl_hint("%s", hint_for(err));
    } else if (is_key) {
        good = server_import(ctl, place, &key);
    } else {
        good = list_import(ctl, place, &list, name);
    }
    cn_revocations_wipe(&list);
    return good;
}

static int import_run(struct cn_ctl *ctl)
{
    const char *path = ctl->arguments.operand[0];
    struct cn_ctl_place place;
    char *text = malloc(TEXT_SIZE_MAX);
    size_t size = 0;
    bool good = false;
    enum cn_err err = text ? cn_ctl_text_read(path, text, TEXT_SIZE_MAX, &size) : CN_E_MEMORY;

    if (err != CN_OK) {
        cn_ctl_error("%s: %s", name_of(path), cn_ctl_reason(err));
    } else if (cn_ctl_place_open(&place, ctl)) {
        good = text_import(ctl, &place, text, size);
        cn_ctl_place_close(&place);
    }
    free(text);
    return good ? CN_CTL_OK : CN_CTL_FAILED;
}

const struct cn_ctl_verb cn_ctl_import_verb = {
    .name = "import",
    .usage = "import FILE",
    .summary = "Take what comes from the other place, if the operator's key is kept elsewhere",
    .help = "FILE - is standard input.\n\n"
            "At the server: what `export-revocations` wrote where the operator's key is. It\n"
            "replaces what was imported before, or, if it is older or not from the operator,\n"
            "changes nothing. A running server obeys at once.\n\n"
            "Where the operator's key is: server.pub, which `init --operator-key` made at the\n"
            "server. Fingerprints are issued for that one then.\n",
    .operand_min = 1,
    .operand_max = 1,
    .run = import_run,
};
