/* config_class.c - apart, since a gate needs it, and reads no configuration. */
#include "config.h"

struct cn_class_limits cn_config_class(const struct cn_config *config, uint8_t limits_class)
{
    const struct cn_class *c = &config->classes[limits_class];
    struct cn_class_limits l = {
        .lines_max_per_subscriber = config->lines_max_per_subscriber,
        .lines_per_subscriber = config->lines_per_subscriber,
        .tags_per_subscriber = config->tags_per_subscriber,
        .lists_per_subscriber = config->lists_per_subscriber,
        .rate_per_subscriber = config->rate_per_subscriber,
    };

    if (c->set & 1)
        l.lines_max_per_subscriber = c->limits.lines_max_per_subscriber;
    if (c->set & 2)
        l.lines_per_subscriber = c->limits.lines_per_subscriber;
    if (c->set & 4)
        l.tags_per_subscriber = c->limits.tags_per_subscriber;
    if (c->set & 8)
        l.lists_per_subscriber = c->limits.lists_per_subscriber;
    if (c->set & 16)
        l.rate_per_subscriber = c->limits.rate_per_subscriber;
    return l;
}
bool cn_config_has_rates(const struct cn_config *config)
{
    for (int i = 0; i < CN_CONFIG_CLASS_COUNT; i++) {
        if (cn_config_class(config, (uint8_t)i).rate_per_subscriber > 0)
            return true;
    }
    return false;
}
