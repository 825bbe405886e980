#include "tag.h"

#include <assert.h>
#include <string.h>

#include "writer.h"

static const struct {
    const char *name;
    bool symmetric;
} services[CN_SERVICE_COUNT] = {
    [CN_SERVICE_TALK] = { "talk", true },      [CN_SERVICE_PIPE] = { "pipe", true },
    [CN_SERVICE_FILE] = { "file", false },     [CN_SERVICE_FORWARD] = { "forward", false },
    [CN_SERVICE_RESUME] = { "resume", false }, [CN_SERVICE_REHANDSHAKE] = { "rehandshake", false },
};

const char *cn_service_name(enum cn_service service)
{
    assert(service > 0 && service < CN_SERVICE_COUNT);
    return services[service].name;
}

bool cn_service_symmetric(enum cn_service service)
{
    assert(service > 0 && service < CN_SERVICE_COUNT);
    return services[service].symmetric;
}

enum cn_err cn_tag_make(const struct cn_crypto *crypto, const struct cn_tag_key *key,
                        enum cn_service service, uint64_t epoch, uint8_t tag[CN_TAG_SIZE])
{
    const char *name = cn_service_name(service);
    uint8_t number[8];
    struct cn_writer w = { .at = number, .left = sizeof number };
    const struct cn_item items[] = {
        CN_LABEL("tag"),
        { CN_ITEM_NAME, name, strlen(name) },
        { CN_ITEM_NUMBER, number, sizeof number },
    };

    cn_writer_u64be(&w, epoch);
    return cn_expand(crypto, CN_SHA256, key->bytes, sizeof key->bytes, items, 3, tag, CN_TAG_SIZE);
}

size_t cn_tag_epochs(uint64_t utc_s, uint64_t epoch[CN_TAG_EPOCH_COUNT_MAX])
{
    uint64_t now = utc_s / CN_TAG_EPOCH_S;
    uint64_t into = utc_s % CN_TAG_EPOCH_S;

    epoch[0] = now;
    if (into < CN_TAG_MARGIN_S && now > 0) {
        epoch[0] = now - 1;
        epoch[1] = now;
        return 2;
    }
    if (into >= CN_TAG_EPOCH_S - CN_TAG_MARGIN_S) {
        epoch[1] = now + 1;
        return 2;
    }
    return 1;
}

uint64_t cn_tag_epochs_change_s(uint64_t utc_s)
{
    uint64_t into = utc_s % CN_TAG_EPOCH_S;

    if (into < CN_TAG_MARGIN_S)
        return CN_TAG_MARGIN_S - into;
    if (into < CN_TAG_EPOCH_S - CN_TAG_MARGIN_S)
        return CN_TAG_EPOCH_S - CN_TAG_MARGIN_S - into;
    return CN_TAG_EPOCH_S - into + CN_TAG_MARGIN_S;
}
