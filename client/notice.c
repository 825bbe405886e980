/* notice.c - what the operator says in a verdict goes into the fingerprint. PROTOCOL.md 2.12 */
#include <errno.h>
#include <string.h>

#include "home.h"
#include "notice.h"

/* What one notice that was taken in made different. */
static unsigned changes_of(const struct cn_fingerprint *before, const struct cn_fingerprint *after)
{
    unsigned changes = 0;

    if (before->certificate.serial != after->certificate.serial)
        changes |= CN_NOTICE_RENEWED;
    if (memcmp(before->address, after->address, sizeof before->address) != 0)
        changes |= CN_NOTICE_MOVED;
    if (memcmp(&before->server_key, &after->server_key, sizeof before->server_key) != 0)
        changes |= CN_NOTICE_REKEYED;
    return changes;
}

void cn_notices_take(const uint8_t *notices, size_t size, struct cn_fingerprint *fingerprint,
                     struct cn_notices_taken *taken)
{
    struct cn_reader r = { .at = notices, .left = size };
    struct cn_fingerprint before = *fingerprint;
    enum cn_err err = CN_OK;

    while (err == CN_OK && r.left > 0) {
        struct cn_notice notice;

        err = cn_notice_decode(&notice, &r);
        if (err == CN_OK)
            err = cn_notice_take(&notice, fingerprint);
        if (err == CN_E_KNOWN)
            err = CN_OK;
    }
    taken->changes = changes_of(&before, fingerprint);
    taken->err = err;
    cn_fingerprint_wipe(&before);
}

/* The same of the one that is stored, which another process may have changed meanwhile; if it is
 * still of this server and this admission key. */
static enum cn_err store(struct cn_home *home, const uint8_t *notices, size_t size,
                         const struct cn_fingerprint *ours)
{
    struct cn_fingerprint stored = { 0 };
    struct cn_notices_taken taken;
    uint64_t number;
    int lock = cn_home_lock(home);
    enum cn_err err = cn_home_fingerprint(home, &stored);

    if (err == CN_OK && memcmp(stored.certificate.admission_key, ours->certificate.admission_key,
                               CN_X25519_SIZE) == 0) {
        number = stored.notice_number;
        cn_notices_take(notices, size, &stored, &taken);
        if (stored.notice_number > number)
            err = cn_home_fingerprint_store(home, &stored);
    }
    cn_home_unlock(lock);
    cn_fingerprint_wipe(&stored);
    return err;
}

void cn_home_notices(struct cn_home *home, const uint8_t *notices, size_t size,
                     struct cn_fingerprint *fingerprint, struct cn_notices_taken *taken)
{
    uint64_t number = fingerprint->notice_number;
    enum cn_err err = CN_OK;

    cn_notices_take(notices, size, fingerprint, taken);
    if (fingerprint->notice_number > number)
        err = store(home, notices, size, fingerprint);
    if (taken->err == CN_OK)
        taken->err = err;
    taken->stored = err == CN_OK;
}
