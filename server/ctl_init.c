#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyfile.h"
#include "random.h"

/* What init makes, in this order: the registry with its settings is the last, so its presence means
 * that the rest is there. */
struct made {
    bool dir;
    bool server_key;
    bool operator_key;
    bool operator_public;
    bool server_public;
    bool registry;
};

static bool wildcard(const char *address)
{
    return strncmp(address, "*:", 2) == 0 || strncmp(address, "0.0.0.0:", 8) == 0 ||
           strncmp(address, "[::]:", 5) == 0;
}

/* Listening: HOST may be a *; else what a fingerprint may hold. */
static bool address_fits(const char *option, const char *address, bool listening)
{
    bool star = listening && address[0] == '*';
    char named[CN_ADDRESS_SIZE_MAX + 2];

    /* judge a * as if it were a host */
    snprintf(named, sizeof named, "%s%s", star ? "a" : "", star ? address + 1 : address);
    if (strlen(address) <= CN_ADDRESS_SIZE_MAX &&
        (listening ? cn_address_valid(named) : cn_address_reachable(named)))
        return true;
    cn_ctl_error("--%s: %s is not HOST:PORT", option, address);
    cn_ctl_hint("like server.example:7473, 192.0.2.1:7473 or [2001:db8::1]:7473; the port is from"
                " 1 to 65535%s",
                listening ? ""
                          : "; srv:server.example stands for the SRV records that DNS has of"
                            " _cyphernet._tcp.server.example");
    return false;
}

bool cn_ctl_public_take(const struct cn_ctl_arguments *a, struct cn_settings *s)
{
    for (size_t i = 0; i < a->public_address.count; i++) {
        const char *address = a->public_address.text[i];

        if (!address_fits("public", address, false))
            return false;
        if (wildcard(address)) {
            cn_ctl_error("--public: %s is no address that a subscriber could reach", address);
            return false;
        }
        snprintf(s->public_address[i], sizeof s->public_address[i], "%s", address);
    }
    s->public_count = a->public_address.count;
    return true;
}

static bool addresses_take(const struct cn_ctl_arguments *a, struct cn_settings *s)
{
    bool any = false;

    for (size_t i = 0; i < a->listen.count; i++) {
        if (!address_fits("listen", a->listen.text[i], true))
            return false;
        any |= wildcard(a->listen.text[i]);
        snprintf(s->listen[i], sizeof s->listen[i], "%s", a->listen.text[i]);
    }
    s->listen_count = a->listen.count;
    if (!cn_ctl_public_take(a, s))
        return false;
    if (s->listen_count == 0) {
        cn_ctl_error("init: --listen is missing");
        cn_ctl_hint("usage: cyphernetctl %s", cn_ctl_init_verb.usage);
        return false;
    }
    if (s->public_count == 0 && any) {
        cn_ctl_error("init: every address is listened on, so --public is needed");
        cn_ctl_hint("--public HOST:PORT is where subscribers find the server from outside");
        return false;
    }
    if (s->public_count == 0) {
        memcpy(s->public_address, s->listen, sizeof s->listen);
        s->public_count = s->listen_count;
    }
    return true;
}

_Static_assert(sizeof((struct cn_settings *)0)->listen ==
                   sizeof((struct cn_settings *)0)->public_address,
               "one list is copied to the other");

/* The operator's key is elsewhere: only its public half is told. */
static bool operator_read(const struct cn_ctl *ctl, struct cn_settings *s)
{
    const char *path = ctl->arguments.operator_key;
    enum cn_err err = cn_keyfile_read(&ctl->crypto, AT_FDCWD, path, CN_ARMOR_OPERATOR_PUBLIC,
                                      s->operators[0].bytes);

    if (err == CN_OK) {
        s->operator_count = 1;
        return true;
    }
    cn_ctl_error("%s: %s", path,
                 err == CN_E_OPEN_MODE ? "it is no plain file" : cn_ctl_reason(err));
    cn_ctl_hint("--operator-key takes the %s that init made in the other directory",
                CN_OPERATOR_PUBLIC_FILE);
    return false;
}

static bool is_there(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* False, having said so, if anything of ours is in the directory. */
static bool dir_free(const struct cn_ctl *ctl, int dir)
{
    static const char *const names[] = { CN_SERVER_KEY_FILE, CN_OPERATOR_KEY_FILE,
                                         CN_OPERATOR_PUBLIC_FILE, CN_SERVER_PUBLIC_FILE };

    if (is_there(dir, CN_REGISTRY_FILE)) {
        cn_ctl_error("%s holds a registry already", ctl->arguments.dir);
        cn_ctl_hint("nothing has been changed; name another directory with --dir");
        return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!is_there(dir, names[i]))
            continue;
        cn_ctl_error("%s holds a %s already", ctl->arguments.dir, names[i]);
        cn_ctl_hint("nothing has been changed; if an earlier init did not finish, remove the file"
                    " and try again");
        return false;
    }
    return true;
}

static enum cn_err server_key_make(const struct cn_ctl *ctl, int dir, struct cn_settings *s)
{
    struct cn_server_secret secret;
    enum cn_err err;

    cn_ctl_lock(&secret, sizeof secret);
    err = cn_random_fill(&cn_system_random, secret.bytes, sizeof secret.bytes);
    if (err == CN_OK)
        err = cn_x25519_public(secret.bytes, s->server_key.bytes);
    if (err == CN_OK)
        err = cn_keyfile_write(&ctl->crypto, dir, CN_SERVER_KEY_FILE, CN_ARMOR_SERVER_KEY,
                               secret.bytes);
    cn_wipe(&secret, sizeof secret);
    return err;
}

static enum cn_err operator_key_make(const struct cn_ctl *ctl, int dir, struct cn_settings *s)
{
    struct cn_operator_secret secret;
    enum cn_err err;

    cn_ctl_lock(&secret, sizeof secret);
    err = cn_random_fill(&cn_system_random, secret.bytes, sizeof secret.bytes);
    if (err == CN_OK)
        err = cn_ed25519_public(secret.bytes, s->operators[0].bytes);
    if (err == CN_OK)
        err = cn_keyfile_write(&ctl->crypto, dir, CN_OPERATOR_KEY_FILE, CN_ARMOR_OPERATOR_KEY,
                               secret.bytes);
    if (err == CN_OK)
        s->operator_count = 1;
    cn_wipe(&secret, sizeof secret);
    return err;
}

static enum cn_err registry_make(const struct cn_ctl *ctl, const struct cn_settings *s,
                                 struct made *made)
{
    struct cn_registry *registry = NULL;
    enum cn_err err = cn_registry_open(&registry, ctl->arguments.dir, true);

    made->registry = err != CN_E_EXISTS;
    if (err == CN_OK)
        err = cn_registry_begin(registry);
    if (err == CN_OK)
        err = cn_settings_write(registry, s);
    if (err == CN_OK)
        err = cn_registry_commit(registry);
    cn_registry_close(registry);
    return err;
}

static enum cn_err all_make(const struct cn_ctl *ctl, int dir, struct cn_settings *s,
                            struct made *made)
{
    enum cn_err err = server_key_make(ctl, dir, s);

    made->server_key = err == CN_OK;
    if (err == CN_OK && s->operator_count == 0) {
        err = operator_key_make(ctl, dir, s);
        made->operator_key = err == CN_OK;
    }
    if (err == CN_OK) {
        err = cn_keyfile_write(&ctl->crypto, dir, CN_OPERATOR_PUBLIC_FILE, CN_ARMOR_OPERATOR_PUBLIC,
                               s->operators[0].bytes);
        made->operator_public = err == CN_OK;
    }
    if (err == CN_OK && ctl->arguments.operator_key) {
        err = cn_keyfile_write(&ctl->crypto, dir, CN_SERVER_PUBLIC_FILE, CN_ARMOR_SERVER_PUBLIC,
                               s->server_key.bytes);
        made->server_public = err == CN_OK;
    }
    return err == CN_OK ? registry_make(ctl, s, made) : err;
}

/* Take back what this run made, and nothing else. */
static void all_undo(int dir, const struct made *made)
{
    if (made->registry) {
        unlinkat(dir, CN_REGISTRY_FILE, 0);
        unlinkat(dir, CN_REGISTRY_FILE "-wal", 0);
        unlinkat(dir, CN_REGISTRY_FILE "-shm", 0);
    }
    if (made->server_public)
        unlinkat(dir, CN_SERVER_PUBLIC_FILE, 0);
    if (made->operator_public)
        unlinkat(dir, CN_OPERATOR_PUBLIC_FILE, 0);
    if (made->operator_key)
        unlinkat(dir, CN_OPERATOR_KEY_FILE, 0);
    if (made->server_key)
        unlinkat(dir, CN_SERVER_KEY_FILE, 0);
}

/* The directory, made if it is not there. */
static bool dir_enter(const struct cn_ctl *ctl, struct cn_ctl_place *place, struct made *made)
{
    const char *dir = ctl->arguments.dir;

    made->dir = mkdir(dir, 0700) == 0;
    if ((made->dir || errno == EEXIST) && cn_ctl_place_enter(place, dir))
        return true;
    cn_ctl_error("%s: %s", dir, cn_ctl_reason(CN_E_SYSTEM));
    if (errno == ENOENT)
        cn_ctl_hint("make the directory above it first");
    if (errno == EACCES || errno == EROFS)
        cn_ctl_hint("name another directory with --dir");
    return false;
}

static void success_tell(const struct cn_ctl *ctl, const struct cn_settings *s)
{
    const char *dir = ctl->arguments.dir;

    if (ctl->arguments.json)
        printf("{\"v\":1,\"event\":\"initialized\",\"public\":\"%s\"}\n", s->public_address[0]);
    cn_ctl_note("%s is ready; subscribers will call %s", dir, s->public_address[0]);
    if (ctl->arguments.operator_key)
        cn_ctl_note("fingerprints are issued where the operator's key is, once that has got %s/%s:"
                    " cyphernetctl import %s",
                    dir, CN_SERVER_PUBLIC_FILE, CN_SERVER_PUBLIC_FILE);
    else
        cn_ctl_note("keep a copy of %s/%s in a safe place: who has it lets anybody in", dir,
                    CN_OPERATOR_KEY_FILE);
    cn_ctl_detail("next: cyphernetctl --dir %s invite LABEL -o FILE; cyphernetd --dir %s", dir,
                  dir);
}

static int init_run(struct cn_ctl *ctl)
{
    struct cn_settings settings = { 0 };
    struct cn_ctl_place place;
    struct made made = { 0 };
    enum cn_err err;

    if (!addresses_take(&ctl->arguments, &settings))
        return CN_CTL_USAGE;
    if (ctl->arguments.operator_key && !operator_read(ctl, &settings))
        return CN_CTL_FAILED;
    if (!dir_enter(ctl, &place, &made))
        return CN_CTL_FAILED;
    if (!dir_free(ctl, place.dir)) {
        cn_ctl_place_close(&place);
        return CN_CTL_FAILED;
    }
    err = all_make(ctl, place.dir, &settings, &made);
    if (err == CN_OK && fsync(place.dir) != 0 && errno != EINVAL)
        err = CN_E_SYSTEM;
    if (err == CN_OK) {
        success_tell(ctl, &settings);
        cn_ctl_place_close(&place);
        return CN_CTL_OK;
    }
    cn_ctl_error("%s: %s", ctl->arguments.dir, cn_ctl_reason(err));
    if (err == CN_E_EXISTS)
        cn_ctl_hint("another init is at work there");
    all_undo(place.dir, &made);
    cn_ctl_place_close(&place);
    if (made.dir)
        rmdir(ctl->arguments.dir);
    return CN_CTL_FAILED;
}

static const struct cn_ctl_option options[] = {
    { "listen", '\0', CN_CTL_TEXTS, offsetof(struct cn_ctl_arguments, listen), "HOST:PORT",
      "where the server listens; up to 8 times; HOST may be *" },
    { "public", '\0', CN_CTL_TEXTS, offsetof(struct cn_ctl_arguments, public_address), "HOST:PORT",
      "where subscribers reach it, if that is another address; needed for a wildcard" },
    { "operator-key", '\0', CN_CTL_TEXT, offsetof(struct cn_ctl_arguments, operator_key), "PUBFILE",
      "believe the operator whose public key this is, and make none" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_verb cn_ctl_init_verb = {
    .name = "init",
    .usage = "init --listen HOST:PORT... [--public HOST:PORT] [--operator-key PUBFILE]",
    .summary = "Make the server's directory: its keys and an empty registry",
    .help =
        "--public srv:NAME has subscribers look up the SRV records of _cyphernet._tcp.NAME.\n"
        "With --operator-key there is no operator's key here, but server.pub for him to import.\n"
        "A directory that holds a registry or a key already is left as it is.\n",
    .options = options,
    .run = init_run,
};
