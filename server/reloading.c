#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cyphernetd.h"
#include "notices.h"
#include "registry.h"

#define CONFIG_SYSTEM "/etc/cyphernet/cyphernetd.conf"
#define CONFIG_LOCAL  "cyphernetd.conf"

bool cn_reloading_config(struct cn_config *config, char what[CN_CONFIG_WHAT_SIZE])
{
    static const char *const paths[] = { CONFIG_SYSTEM, CONFIG_LOCAL };
    char complaint[CN_CONFIG_COMPLAINT_SIZE];

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        enum cn_err err = cn_config_read(config, paths[i], complaint);

        if (err == CN_OK) {
            cn_log_at(CN_LOG_DETAILS, "configuration", "file=%s", paths[i]);
            return true;
        }
        if (err == CN_E_ABSENT)
            continue;
        snprintf(what, CN_CONFIG_WHAT_SIZE, "%s: %s", paths[i],
                 err == CN_E_FORMAT ? complaint : strerror(errno));
        return false;
    }
    cn_config_defaults(config);
    cn_log_at(CN_LOG_DETAILS, "configuration", "file=none");
    return true;
}

static enum cn_err who_fill(struct cn_registry_content *content)
{
    enum cn_err err = CN_OK;

    for (size_t i = 0; err == CN_OK && i < content->blocked_count; i++)
        err = cn_who(&cn_cyphernetd.crypto, &cn_cyphernetd.who_secret,
                     content->blocked[i].admission_key, &content->blocked[i].who);
    return err;
}

enum cn_err cn_reloading_registry(struct cn_registry_content *content)
{
    struct cn_registry *registry = NULL;
    enum cn_err err = cn_registry_open(&registry, ".", false);
    int saved;

    *content = (struct cn_registry_content) { 0 };
    if (err == CN_OK)
        err = cn_settings_read(registry, &content->settings);
    if (err == CN_OK)
        err = cn_registry_blocked(registry, &content->blocked, &content->blocked_count);
    if (err == CN_OK)
        err = cn_notices_read(registry, &content->held, &content->held_count, &content->common);
    saved = errno;
    cn_registry_close(registry);
    errno = saved;
    return err == CN_OK ? who_fill(content) : err;
}

void cn_reloading_wipe(struct cn_registry_content *content)
{
    free(content->blocked);
    free(content->held);
    *content = (struct cn_registry_content) { 0 };
}

enum cn_err cn_reloading_apply(const struct cn_registry_content *content, uint32_t *number)
{
    const struct cn_state_parts parts = { .config = &cn_cyphernetd.config,
                                          .settings = &content->settings,
                                          .blocked = content->blocked,
                                          .blocked_count = content->blocked_count,
                                          .held = content->held,
                                          .held_count = content->held_count,
                                          .common = &content->common };

    return cn_supervisor_state(cn_cyphernetd.supervisor, &parts, number);
}

void cn_reloading_tell(const char *event, const char *about)
{
    char keys[512] = "";
    const char *key;

    for (size_t i = 0; (key = cn_config_key(i)) != NULL; i++) {
        size_t size = strlen(keys);

        if (cn_config_needs_restart(i, &cn_cyphernetd.started_with, &cn_cyphernetd.config))
            snprintf(keys + size, sizeof keys - size, "%s%s", size > 0 ? "," : "", key);
    }
    if (keys[0])
        cn_log(event, "%s%sneeds_restart=%s", about, about[0] ? " " : "", keys);
    else
        cn_log(event, about[0] ? "%s" : NULL, about);
}

void cn_reloading_all(void)
{
    struct cn_config config;
    char what[CN_CONFIG_WHAT_SIZE];

    if (!cn_reloading_config(&config, what)) {
        cn_log_at(CN_LOG_FAILURES, "reload_failed", "kept=old reason=\"%s\"", what);
        return;
    }
    cn_cyphernetd.config = config;
    cn_reloading_tell("reloaded", "");
    cn_requests_registry(0, 0); /* it says what came of it */
}
