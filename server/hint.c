#include "hint.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

const char *cn_hint_system(int number)
{
    static const struct {
        int number;
        const char *hint;
    } rows[] = {
        { ENOSPC, "make room on the disk; nothing has been changed" },
        { EFBIG, "make room on the disk; nothing has been changed" },
        { EDQUOT, "make room on the disk; nothing has been changed" },
        { EBUSY, "another cyphernetctl is at work: try again" },
        { EACCES, "run this as the owner of the directory, or as root" },
        { EPERM, "run this as the owner of the directory, or as root" },
        { EROFS, "the directory must be writable to whoever runs this" },
        { EMFILE, "allow it more descriptors: ulimit -n, or LimitNOFILE= of its service" },
        { ENFILE, "the system has no descriptors left: end programs, or raise fs.file-max" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == number)
            return rows[i].hint;
    }
    return NULL;
}

static const struct {
    enum cn_err err;
    const char *reason;
    const char *hint;
} registry_rows[] = {
    { CN_E_ABSENT, "the directory holds no registry",
      "cyphernetctl --dir DIR init --listen HOST:PORT makes one; name the directory with --dir if "
      "it is elsewhere" },
    { CN_E_FORMAT, "it is damaged, or `cyphernetctl init` did not finish",
      "bring it back from a backup; if it was never used, remove it with the key files beside it "
      "and run init again" },
    { CN_E_VERSION, "it was made by a later cyphernetctl", "upgrade this program" },
};

const char *cn_hint_registry_reason(enum cn_err err, int number)
{
    for (size_t i = 0; i < sizeof registry_rows / sizeof registry_rows[0]; i++) {
        if (registry_rows[i].err == err)
            return registry_rows[i].reason;
    }
    return err == CN_E_SYSTEM ? strerror(number) : cn_err_text(err);
}

const char *cn_hint_registry(enum cn_err err, int number)
{
    for (size_t i = 0; i < sizeof registry_rows / sizeof registry_rows[0]; i++) {
        if (registry_rows[i].err == err)
            return registry_rows[i].hint;
    }
    return err == CN_E_SYSTEM ? cn_hint_system(number) : NULL;
}
