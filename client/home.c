#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "file.h"
#include "reader.h"
#include "sealing.h"
#include "writer.h"

enum { ADMISSION_KEY_VERSION = 1, ADMISSION_KEY_BODY_SIZE = 1 + CN_X25519_SIZE };

/* server/random.c has its like: all that the two share is core/, which draws no randomness. */
static enum cn_err system_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(out, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CN_E_RANDOM;
        out += got;
        size -= (size_t)got;
    }
    return CN_OK;
}

const char *cn_version(void)
{
    return CN_VERSION;
}

const char *cn_version_crypto(void)
{
    return cn_crypto_library();
}

const char *cn_version_mlkem(void)
{
    return cn_kem_mlkem768_source();
}

const struct cn_crypto *cn_home_crypto(const struct cn_home *home)
{
    return &home->crypto;
}

const struct cn_random *cn_home_random(const struct cn_home *home)
{
    return &home->random;
}

const struct cn_detail *cn_home_detail(const struct cn_home *home)
{
    static const struct cn_detail none = { 0 };

    return home ? &home->detail : &none;
}

enum cn_err cn_home_fail(struct cn_home *home, enum cn_err err, int system_error, const char *about)
{
    size_t size = about ? strnlen(about, sizeof home->detail.about - 1) : 0;

    home->detail.system_error = system_error;
    if (size > 0)
        memmove(home->detail.about, about, size);
    home->detail.about[size] = '\0';
    return err;
}

/* --- places --------------------------------------------------------------------------------- */

/* $variable/cyphernet, or $HOME/fallback/cyphernet. False: neither is set, or too long. */
static bool xdg_place(const char *variable, const char *fallback, char *out, size_t size)
{
    const char *base = getenv(variable);
    const char *user = getenv("HOME");
    int length;

    if (base && base[0] == '/')
        length = snprintf(out, size, "%s/cyphernet", base);
    else if (user && user[0] == '/')
        length = snprintf(out, size, "%s/%s/cyphernet", user, fallback);
    else
        return false;
    return length > 0 && (size_t)length < size;
}

static bool places_find(struct cn_home *home, const char *dir)
{
    const char *all = dir ? dir : getenv("CYPHERNET_HOME");

    if (all && all[0]) {
        if (strlen(all) >= sizeof home->data)
            return false;
        snprintf(home->data, sizeof home->data, "%s", all);
        snprintf(home->config, sizeof home->config, "%s", all);
        snprintf(home->state, sizeof home->state, "%s", all);
        return true;
    }
    if (!xdg_place("XDG_STATE_HOME", ".local/state", home->state, sizeof home->state))
        home->state[0] = '\0'; /* nothing depends on it */
    return xdg_place("XDG_DATA_HOME", ".local/share", home->data, sizeof home->data) &&
           xdg_place("XDG_CONFIG_HOME", ".config", home->config, sizeof home->config);
}

enum cn_err cn_home_open(struct cn_home **home, const char *dir)
{
    struct cn_home *h = calloc(1, sizeof *h);
    enum cn_err err;

    if (!h)
        return CN_E_MEMORY;
    h->random.fill = system_fill;
    err = places_find(h, dir) ? cn_crypto_init(&h->crypto) : CN_E_ABSENT;
    if (err != CN_OK) {
        free(h);
        return err;
    }
    *home = h;
    return CN_OK;
}

void cn_home_close(struct cn_home *home)
{
    if (!home)
        return;
    cn_sealing_forget(home);
    cn_crypto_wipe(&home->crypto);
    free(home);
}

void cn_home_path(const struct cn_home *home, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", home->data, name);
}

/* errno says something only where a system call failed. */
static enum cn_err file_failed(struct cn_home *home, enum cn_err err, const char *path)
{
    return cn_home_fail(home, err, err == CN_E_SYSTEM ? errno : 0, path);
}

enum cn_err cn_home_read(struct cn_home *home, const char *name, char *text, size_t text_size_max,
                         size_t *text_size)
{
    char path[PATH_MAX];
    char raw[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = 0;
    bool told = false;
    enum cn_err err;

    cn_home_path(home, name, path);
    err = cn_file_read(path, true, raw, sizeof raw, &size);
    if (err == CN_OK)
        err = cn_sealing_open(home, name, (struct cn_piece) { (const uint8_t *)raw, size }, text,
                              text_size_max, text_size, &told);
    cn_wipe(raw, sizeof raw);
    return err == CN_OK || told ? err : file_failed(home, cn_home_text_err(err), path);
}

enum cn_err cn_home_write(struct cn_home *home, const char *name, bool replace, const char *text,
                          size_t text_size)
{
    char path[PATH_MAX];
    char raw[CN_ARMOR_TEXT_SIZE_MAX];
    char *slash;
    size_t size = 0;
    bool told = false;
    enum cn_err err = cn_sealing_close(
        home, name, (struct cn_piece) { (const uint8_t *)text, text_size }, raw, &size, &told);

    cn_home_path(home, name, path);
    slash = strrchr(path, '/');
    *slash = '\0';
    if (err == CN_OK)
        err = cn_file_directories(path);
    *slash = '/';
    if (err == CN_OK)
        err = cn_file_write(path, replace, raw, size);
    cn_wipe(raw, sizeof raw);
    return err == CN_OK || told ? err : file_failed(home, err, path);
}

int cn_home_lock(const struct cn_home *home)
{
    int fd = open(home->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        close(fd);
        return -1;
    }
    return fd;
}

void cn_home_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}

/* A failure of parsing what a file of ours holds. */
static enum cn_err file_bad(struct cn_home *home, enum cn_err err, const char *name)
{
    char path[PATH_MAX];

    cn_home_path(home, name, path);
    return cn_home_fail(home, cn_home_text_err(err), 0, path);
}

/* --- identity ------------------------------------------------------------------------------- */

enum cn_err cn_home_identity_read(struct cn_home *home, const char *file,
                                  struct cn_identity *identity)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_home_read(home, file, text, sizeof text, &size);

    if (err == CN_OK) {
        err = cn_identity_decode(identity, &home->crypto, text, size);
        if (err != CN_OK)
            err = file_bad(home, err, file);
    }
    cn_wipe(text, sizeof text);
    return err;
}

enum cn_err cn_home_identity(struct cn_home *home, struct cn_identity *identity)
{
    return cn_home_identity_read(home, CN_IDENTITY_FILE, identity);
}

void cn_identities_wipe(struct cn_identities *identities)
{
    cn_identity_wipe(&identities->now);
    cn_identity_wipe(&identities->next);
    identities->has_next = false;
}

enum cn_err cn_home_identities(struct cn_home *home, struct cn_identities *identities)
{
    enum cn_err err = cn_home_identity(home, &identities->now);
    const struct cn_detail detail = home->detail;

    identities->has_next = identities->next_is_now = false;
    if (err != CN_OK)
        return err;
    err = cn_home_identity_read(home, CN_IDENTITY_NEXT_FILE, &identities->next);
    if (err == CN_OK) {
        identities->next_is_now =
            memcmp(identities->next.id, identities->now.id, sizeof identities->now.id) == 0;
        identities->has_next = !identities->next_is_now;
    } else if (err != CN_E_ABSENT) {
        cn_identity_wipe(&identities->now);
    }
    if (err != CN_E_ABSENT)
        return err;
    home->detail = detail; /* that there is none is no failure */
    return CN_OK;
}

const struct cn_identity *cn_identities_of(const struct cn_identities *identities,
                                           const struct cn_card *card)
{
    if (memcmp(card->id, identities->now.id, sizeof card->id) == 0)
        return &identities->now;
    if (identities->has_next && memcmp(card->id, identities->next.id, sizeof card->id) == 0)
        return &identities->next;
    return NULL;
}

static enum cn_err identity_write(struct cn_home *home, const char *file, bool replace,
                                  const struct cn_identity *identity)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_identity_encode(identity, &home->crypto, text, sizeof text, &size);

    if (err == CN_OK)
        err = cn_home_write(home, file, replace, text, size);
    cn_wipe(text, sizeof text);
    return err;
}

enum cn_err cn_home_identity_store(struct cn_home *home, const char *file,
                                   const struct cn_identity *identity)
{
    return identity_write(home, file, true, identity);
}

enum cn_err cn_home_identity_make(struct cn_home *home, const char *file, enum cn_kem kind)
{
    struct cn_identity identity = { 0 };
    enum cn_err err = cn_identity_create(&identity, &home->crypto, kind, &home->random);

    if (err == CN_OK)
        err = identity_write(home, file, false, &identity);
    cn_identity_wipe(&identity);
    return err;
}

enum cn_err cn_home_identity_create(struct cn_home *home, unsigned rsa_bits)
{
    enum cn_kem kind = rsa_bits == 0 ? CN_KEM_X25519 : cn_kem_rsa_of(rsa_bits);
    char path[PATH_MAX];

    cn_home_path(home, CN_IDENTITY_FILE, path);
    if (kind == CN_KEM_NONE)
        return cn_home_fail(home, CN_E_USAGE, 0, NULL);
    if (access(path, F_OK) == 0)
        return cn_home_fail(home, CN_E_EXISTS, 0, path);
    return cn_home_identity_make(home, CN_IDENTITY_FILE, kind);
}

enum cn_err cn_home_identity_kind(struct cn_home *home, const char **kind)
{
    struct cn_identity identity;
    enum cn_err err = cn_home_identity(home, &identity);

    if (err != CN_OK)
        return err;
    *kind = cn_kem_name(identity.public.kind);
    cn_identity_wipe(&identity);
    return CN_OK;
}

/* --- admission ------------------------------------------------------------------------------ */

static enum cn_err admission_key_read(struct cn_home *home, struct cn_admission_secret *secret)
{
    char text[1024];
    uint8_t body[ADMISSION_KEY_BODY_SIZE];
    struct cn_reader r = { .at = body };
    size_t size = 0;
    enum cn_err err = cn_home_read(home, CN_ADMISSION_KEY_FILE, text, sizeof text, &size);

    if (err != CN_OK)
        return err;
    err = cn_armor_decode(&home->crypto, CN_ARMOR_ADMISSION_KEY, text, size, body, sizeof body,
                          &r.left);
    if (err == CN_OK) {
        uint8_t version = cn_reader_u8(&r);
        const uint8_t *key = cn_reader_take(&r, sizeof secret->bytes);

        if (version != ADMISSION_KEY_VERSION)
            err = CN_E_VERSION;
        else if (!cn_reader_done(&r))
            err = CN_E_FORMAT;
        else
            memcpy(secret->bytes, key, sizeof secret->bytes);
    }
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err == CN_OK ? CN_OK : file_bad(home, err, CN_ADMISSION_KEY_FILE);
}

static enum cn_err admission_key_create(struct cn_home *home, struct cn_admission_secret *secret)
{
    char text[1024];
    uint8_t body[ADMISSION_KEY_BODY_SIZE] = { ADMISSION_KEY_VERSION };
    size_t size = 0;
    enum cn_err err = cn_random_fill(&home->random, body + 1, CN_X25519_SIZE);

    if (err == CN_OK)
        err = cn_armor_encode(&home->crypto, CN_ARMOR_ADMISSION_KEY, body, sizeof body, text,
                              sizeof text, &size);
    if (err == CN_OK)
        err = cn_home_write(home, CN_ADMISSION_KEY_FILE, false, text, size);
    if (err == CN_OK)
        memcpy(secret->bytes, body + 1, sizeof secret->bytes);
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err;
}

enum cn_err cn_home_admission_key_check(struct cn_home *home)
{
    struct cn_admission_secret secret;
    enum cn_err err = admission_key_read(home, &secret);

    cn_wipe(&secret, sizeof secret);
    return err;
}

_Static_assert((int)CN_ARMOR_TEXT_SIZE_MAX <= (int)CN_TEXT_SIZE_MAX, "as cyphernet.h promises");

enum cn_err cn_home_request(struct cn_home *home, char *text, size_t *text_size)
{
    struct cn_admission_secret secret = { 0 };
    uint8_t public[CN_X25519_SIZE];
    int lock = cn_home_lock(home);
    enum cn_err err = admission_key_read(home, &secret);

    if (err == CN_E_ABSENT)
        err = admission_key_create(home, &secret);
    cn_home_unlock(lock);
    if (err == CN_OK)
        err = cn_x25519_public(secret.bytes, public);
    if (err == CN_OK)
        err = cn_request_encode(&home->crypto, public, text, *text_size, text_size);
    cn_wipe(&secret, sizeof secret);
    return err;
}

/* The admission key of a fingerprint that came without: of the pending request (*pending), or of
 * the fingerprint that this one renews. */
static enum cn_err secret_find(struct cn_home *home, struct cn_fingerprint *fingerprint,
                               bool *pending)
{
    struct cn_fingerprint old = { 0 };
    uint8_t public[CN_X25519_SIZE] = { 0 };
    bool had_any = false;
    enum cn_err err = admission_key_read(home, &fingerprint->secret);

    if (err == CN_OK) {
        had_any = true;
        err = cn_x25519_public(fingerprint->secret.bytes, public);
        if (err == CN_OK &&
            cn_equal_ct(public, fingerprint->certificate.admission_key, sizeof public)) {
            *pending = true;
            goto found;
        }
    }
    if (err != CN_OK && err != CN_E_ABSENT)
        return err;
    err = cn_home_fingerprint(home, &old);
    if (err == CN_OK && cn_equal_ct(old.certificate.admission_key,
                                    fingerprint->certificate.admission_key, sizeof public)) {
        fingerprint->secret = old.secret;
        goto found;
    }
    cn_fingerprint_wipe(&old);
    cn_wipe(&fingerprint->secret, sizeof fingerprint->secret);
    return cn_home_fail(home, had_any || err == CN_OK ? CN_E_KEY : CN_E_ABSENT, 0, NULL);
found:
    cn_fingerprint_wipe(&old);
    fingerprint->has_secret = true;
    return CN_OK;
}

enum cn_err cn_home_fingerprint_store(struct cn_home *home,
                                      const struct cn_fingerprint *fingerprint)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_fingerprint_encode(&home->crypto, fingerprint, text, sizeof text, &size);

    if (err == CN_OK)
        err = cn_home_write(home, CN_FINGERPRINT_FILE, true, text, size);
    cn_wipe(text, sizeof text);
    return err;
}

static enum cn_err identity_ensure(struct cn_home *home)
{
    const char *kind;
    enum cn_err err = cn_home_identity_kind(home, &kind);

    return err == CN_E_ABSENT ? cn_home_identity_create(home, 0) : err;
}

/* The request was answered: its key is in the fingerprint, and the next request is another. Should
 * the file stay, no harm is done. */
static void request_forget(struct cn_home *home)
{
    char path[PATH_MAX];

    cn_home_path(home, CN_ADMISSION_KEY_FILE, path);
    (void)unlink(path);
}

/* Whether this server is the one that is joined now. */
static bool joined_now(struct cn_home *home, const struct cn_server_public *server)
{
    struct cn_fingerprint now = { 0 };
    bool same =
        cn_home_fingerprint(home, &now) == CN_OK &&
        memcmp(cn_fingerprint_server(&now)->bytes, server->bytes, sizeof server->bytes) == 0;

    cn_fingerprint_wipe(&now);
    return same;
}

enum cn_err cn_home_join(struct cn_home *home, const char *text, size_t text_size, bool replace)
{
    struct cn_fingerprint fingerprint = { 0 };
    bool other_server = false;
    bool pending = false;
    int lock = cn_home_lock(home);
    enum cn_err err = cn_fingerprint_decode(&home->crypto, text, text_size, &fingerprint);

    err = cn_home_fail(home, cn_home_text_err(err), 0, NULL);
    if (err == CN_OK && !fingerprint.has_secret)
        err = secret_find(home, &fingerprint, &pending);
    if (err == CN_OK && !replace && !joined_now(home, cn_fingerprint_server(&fingerprint)))
        err = cn_contact_other_server(home, cn_fingerprint_server(&fingerprint), &other_server);
    if (err == CN_OK && other_server)
        err = cn_home_fail(home, CN_E_SERVER, 0, NULL);
    if (err == CN_OK)
        err = identity_ensure(home);
    if (err == CN_OK)
        err = cn_home_fingerprint_store(home, &fingerprint);
    if (err == CN_OK && pending)
        request_forget(home);
    cn_home_unlock(lock);
    cn_fingerprint_wipe(&fingerprint);
    return err;
}

enum cn_err cn_home_fingerprint(struct cn_home *home, struct cn_fingerprint *fingerprint)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_home_read(home, CN_FINGERPRINT_FILE, text, sizeof text, &size);

    if (err == CN_OK) {
        err = cn_fingerprint_decode(&home->crypto, text, size, fingerprint);
        if (err == CN_OK && !fingerprint->has_secret) {
            cn_fingerprint_wipe(fingerprint);
            err = CN_E_FORMAT;
        }
        if (err != CN_OK)
            err = file_bad(home, err, CN_FINGERPRINT_FILE);
    }
    cn_wipe(text, sizeof text);
    return err;
}

enum cn_err cn_home_admission(struct cn_home *home, struct cn_admission_info *info)
{
    struct cn_fingerprint f;
    enum cn_err err = cn_home_fingerprint(home, &f);

    if (err != CN_OK)
        return err;
    memset(info, 0, sizeof *info);
    snprintf(info->label, sizeof info->label, "%s", f.label);
    info->address_count = f.address_count;
    for (size_t i = 0; i < f.address_count; i++)
        snprintf(info->address[i], sizeof info->address[i], "%s", f.address[i]);
    info->serial = f.certificate.serial;
    info->not_before = f.certificate.not_before;
    info->not_after = f.certificate.not_after;
    cn_fingerprint_wipe(&f);
    return CN_OK;
}
