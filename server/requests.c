#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "cyphernetd.h"
#include "hint.h"

static bool is_blocked(const struct cn_registry_content *content, uint64_t serial)
{
    for (size_t i = 0; i < content->blocked_count; i++) {
        if (content->blocked[i].serial == serial)
            return true;
    }
    return false;
}

static void registry_failed(enum cn_err err, int number)
{
    cn_log_at(CN_LOG_FAILURES, "registry_failed", "reason=\"%s\"",
              cn_hint_registry_reason(err, number));
}

static void reply_error(uint64_t asker, enum cn_err err, int number)
{
    char reply[512];

    snprintf(reply, sizeof reply, "{\"v\":1,\"event\":\"error\",\"text\":\"registry: %s\"}",
             cn_hint_registry_reason(err, number));
    if (asker)
        cn_control_reply(cn_cyphernetd.control, asker, reply);
}

void cn_requests_registry(uint64_t asker, uint64_t serial)
{
    struct cn_registry_content content;
    struct cn_request request = { .asker = asker };
    enum cn_err err = cn_reloading_registry(&content);
    int number = errno;

    if (err == CN_OK) {
        request.serial_blocked = is_blocked(&content, serial);
        request.blocked_count = content.blocked_count;
        err = cn_reloading_apply(&content, &request.number);
        number = errno;
    }
    if (err != CN_OK) {
        registry_failed(err, number);
        reply_error(asker, err, number);
    } else if (cn_cyphernetd.request_count < CN_REQUESTS_MAX) {
        cn_cyphernetd.requests[cn_cyphernetd.request_count++] = request;
    } else {
        reply_error(asker, CN_E_LIMIT, 0); /* it comes into force, unseen */
    }
    cn_reloading_wipe(&content);
}

/* What a later state does is done by an earlier one's too. */
void cn_requests_applied(void *context, uint32_t number, enum cn_err err, uint32_t cut)
{
    size_t left = 0;

    (void)context;
    for (size_t i = 0; i < cn_cyphernetd.request_count; i++) {
        const struct cn_request w = cn_cyphernetd.requests[i];
        char reply[256];

        if (w.number > number) {
            cn_cyphernetd.requests[left++] = w;
        } else if (err != CN_OK) {
            registry_failed(err, 0);
            reply_error(w.asker, err, 0);
        } else {
            cn_log("registry", "blocked=%zu cut=%u", w.blocked_count, cut);
            snprintf(reply, sizeof reply,
                     "{\"v\":1,\"event\":\"registry\",\"blocked\":%zu,\"cut\":%u,"
                     "\"serial_blocked\":%d}",
                     w.blocked_count, cut, w.serial_blocked);
            if (w.asker)
                cn_control_reply(cn_cyphernetd.control, w.asker, reply);
        }
    }
    cn_cyphernetd.request_count = left;
}

/* SERIAL, and the end of the line. */
static bool serial_take(const char *text, uint64_t *serial)
{
    char *end;

    *serial = strtoull(text, &end, 10);
    return end > text && strcmp(end, "\n") == 0;
}

bool cn_requests_answer(void *context, uint64_t asker, const char *request, char *reply,
                        size_t size)
{
    const size_t prefix = strlen(CN_CONTROL_REGISTRY);
    struct cn_status status;
    uint64_t serial;

    (void)context;
    if (strncmp(request, CN_CONTROL_REGISTRY, prefix) == 0 &&
        serial_take(request + prefix, &serial)) {
        cn_requests_registry(asker, serial);
        return false;
    }
    if (strcmp(request, CN_CONTROL_STATUS) == 0) {
        cn_supervisor_status(cn_cyphernetd.supervisor, &status);
        cn_status_write(&status, (cn_cyphernetd.loop.now_ms - cn_cyphernetd.started_ms) / 1000,
                        reply, size);
    } else {
        snprintf(reply, size, "{\"v\":1,\"event\":\"error\",\"text\":\"no such request\"}");
    }
    return true;
}
