#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hint.h"
#include "keyfile.h"
#include "process.h"

/* What we make in DIR must be readable to the server, which is not root; and root must not be led
 * about by links that the directory's owner made. So root acts as the owner in there. */
static bool owner_assume(const struct stat *owner)
{
    bool good = setgroups(1, &owner->st_gid) == 0 && setegid(owner->st_gid) == 0 &&
                seteuid(owner->st_uid) == 0;

    cn_process_harden();
    return good;
}

void cn_ctl_place_leave(struct cn_ctl_place *place)
{
    if (place->assumed && (seteuid(getuid()) != 0 || setegid(getgid()) != 0))
        cn_ctl_warning("cannot become root again");
}

void cn_ctl_place_return(struct cn_ctl_place *place)
{
    struct stat owner;

    if (place->assumed && (fstat(place->dir, &owner) != 0 || !owner_assume(&owner)))
        cn_ctl_warning("cannot become the owner of the directory again");
}

bool cn_ctl_place_enter(struct cn_ctl_place *place, const char *dir)
{
    struct cn_ctl_place p = { .dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
    struct stat owner;

    if (p.dir < 0)
        return false;
    if (fstat(p.dir, &owner) != 0)
        goto fail;
    p.assumed = geteuid() == 0 && owner.st_uid != 0;
    if (p.assumed && !owner_assume(&owner))
        goto fail;
    *place = p;
    return true;
fail:
    close(p.dir);
    return false;
}

void cn_ctl_place_close(struct cn_ctl_place *place)
{
    cn_registry_close(place->registry);
    cn_ctl_place_leave(place);
    close(place->dir);
}

static void hint(const char *text)
{
    if (text)
        cn_ctl_hint("%s", text);
}

void cn_ctl_registry_error(const struct cn_ctl *ctl, enum cn_err err)
{
    int number = errno;

    cn_ctl_error("%s/%s: %s", ctl->arguments.dir, CN_REGISTRY_FILE,
                 cn_hint_registry_reason(err, number));
    hint(cn_hint_registry(err, number));
}

void cn_ctl_keyfile_error(const struct cn_ctl *ctl, const char *name, enum cn_err err)
{
    const char *dir = ctl->arguments.dir;
    int number = errno;

    cn_ctl_error("%s/%s: %s", dir, name, cn_ctl_reason(err));
    if (err == CN_E_OPEN_MODE)
        cn_ctl_hint("it must be a regular file of the user who runs this, under one name:"
                    " chmod 600 %s/%s",
                    dir, name);
    else if (err == CN_E_CHECKSUM || err == CN_E_TRUNCATED || err == CN_E_ARMOR ||
             err == CN_E_FORMAT || err == CN_E_KIND)
        cn_ctl_hint("bring it back from a backup");
    else if (err == CN_E_VERSION)
        cn_ctl_hint("it was made by a later cyphernetctl: upgrade this one");
    else if (err == CN_E_SYSTEM)
        hint(cn_hint_system(number));
}

static enum cn_err registry_open(struct cn_ctl_place *place, const struct cn_ctl *ctl)
{
    enum cn_err err = cn_registry_open(&place->registry, ctl->arguments.dir, false);

    return err == CN_OK ? cn_settings_read(place->registry, &place->settings) : err;
}

bool cn_ctl_place_open(struct cn_ctl_place *place, const struct cn_ctl *ctl)
{
    enum cn_err err;

    if (!cn_ctl_place_enter(place, ctl->arguments.dir)) {
        if (errno == ENOENT)
            cn_ctl_registry_error(ctl, CN_E_ABSENT);
        else
            cn_ctl_error("%s: %s", ctl->arguments.dir, cn_ctl_reason(CN_E_SYSTEM));
        return false;
    }
    err = registry_open(place, ctl);
    if (err == CN_OK)
        return true;
    cn_ctl_registry_error(ctl, err);
    cn_ctl_place_close(place);
    return false;
}
