/* fake_home.c - in place of the files of a home: the owner whose code runs has a fingerprint, one
 * contact, and no identity that is to change. */
#include <string.h>

#include "file.h"
#include "home.h"
#include "owner.h"
#include "rotation.h"
#include "server.h"
#include "sim.h"

const struct cn_crypto *cn_home_crypto(const struct cn_home *home)
{
    (void)home;
    return people_crypto();
}

const struct cn_random *cn_home_random(const struct cn_home *home)
{
    return &home->random;
}

enum cn_err cn_home_fail(struct cn_home *home, enum cn_err err, int system_error, const char *about)
{
    (void)home;
    (void)system_error;
    (void)about;
    return err;
}

void cn_home_path(const struct cn_home *home, const char *name, char out[PATH_MAX])
{
    (void)home;
    (void)name;
    out[0] = '\0'; /* nothing is there: contacts do not change */
}

/* Linked with --wrap. */
enum cn_err __wrap_cn_file_directories(const char *path);
enum cn_err __wrap_cn_file_directories(const char *path)
{
    (void)path;
    return CN_OK;
}

enum cn_err cn_home_fingerprint(struct cn_home *home, struct cn_fingerprint *fingerprint)
{
    (void)home;
    *fingerprint = *server_fingerprint(owner_running()->setup.person);
    return CN_OK;
}

enum cn_err cn_home_proxy(struct cn_home *home, struct cn_proxy_setting *setting)
{
    (void)home;
    setting->kind = CN_PROXY_NONE;
    return CN_OK;
}

size_t cn_home_last_address(const struct cn_home *home, const struct cn_fingerprint *fingerprint)
{
    (void)home;
    (void)fingerprint;
    return 0;
}

void cn_home_set_last_address(const struct cn_home *home, const struct cn_fingerprint *fingerprint,
                              size_t index)
{
    (void)home;
    sim_need(index < fingerprint->address_count);
}

/* The simulated operator sends none. */
void cn_home_notices(struct cn_home *home, const uint8_t *notices, size_t size,
                     struct cn_fingerprint *fingerprint, struct cn_notices_taken *taken)
{
    (void)home;
    (void)notices;
    (void)size;
    (void)fingerprint;
    (void)taken;
    sim_need(false);
}

/* --- contacts -------------------------------------------------------------------------------- */

enum cn_err cn_home_identities(struct cn_home *home, struct cn_identities *identities)
{
    (void)home;
    identities->now = owner_running()->setup.who->identity;
    return CN_OK;
}

enum cn_err cn_contact_pairs(struct cn_home *home, const char *name,
                             const struct cn_identities *identities,
                             const struct cn_fingerprint *fingerprint,
                             struct cn_contact_pairs *pairs)
{
    const struct owner *o = owner_running();

    (void)home;
    (void)fingerprint;
    sim_need(strcmp(name, o->setup.want.contact) == 0);
    pairs->now = o->setup.who->pair;
    pairs->identity = &identities->now;
    pairs->has_next = false;
    pairs->verified = true;
    return CN_OK;
}

/* --- another identity: nobody has one -------------------------------------------------------- */

enum cn_err cn_rotation_opened(struct cn_home *home, const char *name, const struct cn_pair *pair,
                               bool *moved, struct cn_card *card, bool *due)
{
    (void)home;
    (void)name;
    (void)pair;
    (void)card;
    *moved = *due = false;
    return CN_OK;
}

enum cn_err cn_rotation_take(struct cn_home *home, const char *name, const struct cn_pair *pair,
                             const struct cn_card *theirs, struct cn_card *mine)
{
    (void)home;
    (void)name;
    (void)pair;
    (void)theirs;
    (void)mine;
    sim_need(false);
    return CN_E_ABSENT;
}

enum cn_err cn_rotation_answered(struct cn_home *home, const char *name, const struct cn_pair *pair,
                                 const struct cn_card *mine, const struct cn_card *theirs)
{
    (void)home;
    (void)name;
    (void)pair;
    (void)mine;
    (void)theirs;
    sim_need(false);
    return CN_E_ABSENT;
}

enum cn_err cn_rotation_held(struct cn_home *home, const char *name, const struct cn_pair *pair,
                             const struct cn_card *theirs)
{
    (void)home;
    (void)name;
    (void)pair;
    (void)theirs;
    sim_need(false);
    return CN_E_ABSENT;
}
