#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What to do about a failure of the system; nothing if we do not know. */
static void system_hint(const struct cn_ctl *ctl, int number)
{
    if (number == ENOSPC || number == EFBIG || number == EDQUOT)
        cn_ctl_hint("make room on the disk; nothing has been changed");
    else if (number == EBUSY)
        cn_ctl_hint("another cyphernetctl is at work: try again");
    else if (number == EACCES || number == EPERM)
        cn_ctl_hint("run this as the owner of %s, or as root", ctl->arguments.dir);
    else if (number == EROFS)
        cn_ctl_hint("%s must be writable to whoever runs this", ctl->arguments.dir);
}

void cn_ctl_registry_error(const struct cn_ctl *ctl, enum cn_err err)
{
    const char *dir = ctl->arguments.dir;
    int number = errno;

    if (err == CN_E_ABSENT) {
        cn_ctl_error("%s holds no registry", dir);
        cn_ctl_hint("cyphernetctl --dir DIR init --listen HOST:PORT makes one; name the directory"
                    " with --dir if it is elsewhere");
    } else if (err == CN_E_FORMAT) {
        cn_ctl_error("%s/%s is damaged, or `cyphernetctl init` did not finish", dir,
                     CN_REGISTRY_FILE);
        cn_ctl_hint("bring it back from a backup; if it was never used, remove it with the key"
                    " files beside it and run init again");
    } else if (err == CN_E_VERSION) {
        cn_ctl_error("%s/%s was made by a later cyphernetctl", dir, CN_REGISTRY_FILE);
        cn_ctl_hint("upgrade this one");
    } else {
        cn_ctl_error("%s/%s: %s", dir, CN_REGISTRY_FILE, cn_ctl_reason(err));
        system_hint(ctl, err == CN_E_SYSTEM ? number : 0);
    }
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
        system_hint(ctl, number);
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
