#include "rehandshake.h"

#include <string.h>

void cn_rehandshake_wipe(struct cn_rehandshake *re)
{
    cn_wipe(re, sizeof *re);
}

void cn_rehandshake_done(struct cn_rehandshake *re, uint64_t now_ms)
{
    cn_handshake_wipe(&re->handshake);
    cn_rehandshake_wipe(re);
    re->since_ms = now_ms;
}

static bool has_traffic(const struct cn_rehandshake *re)
{
    return re->octets >= CN_REHANDSHAKE_TRAFFIC;
}

/* So many octets, or so long with some. */
static bool has_passed(const struct cn_rehandshake *re, uint64_t octets, uint64_t ms,
                       uint64_t now_ms)
{
    return re->octets >= octets || (has_traffic(re) && now_ms - re->since_ms >= ms);
}

bool cn_rehandshake_is_due(const struct cn_rehandshake *re, uint64_t now_ms)
{
    return re->state == CN_REHANDSHAKE_NONE &&
           has_passed(re, CN_REHANDSHAKE_OCTETS, CN_REHANDSHAKE_MS, now_ms);
}

bool cn_rehandshake_is_late(const struct cn_rehandshake *re, uint64_t now_ms)
{
    return re->state != CN_REHANDSHAKE_NONE &&
           has_passed(re, CN_REHANDSHAKE_OCTETS_MAX, CN_REHANDSHAKE_MS_MAX, now_ms);
}

uint64_t cn_rehandshake_deadline_ms(const struct cn_rehandshake *re, uint64_t now_ms)
{
    if (re->answer_due && re->answer_due_ms > now_ms)
        return re->answer_due_ms;
    if (!has_traffic(re))
        return UINT64_MAX;
    return re->since_ms +
           (re->state == CN_REHANDSHAKE_NONE ? CN_REHANDSHAKE_MS : CN_REHANDSHAKE_MS_MAX);
}

/* The handshake is about the one before: with S' of its chain secret, and in place of a tag its
 * call id. */
enum cn_err cn_rehandshake_begin(struct cn_rehandshake *re,
                                 const struct cn_rehandshake_setup *setup)
{
    struct cn_handshake_setup next = *setup->before;
    struct cn_resume_secret chain;
    enum cn_err err;

    _Static_assert((int)CN_CALL_ID_SIZE == (int)CN_TAG_SIZE, "one stands for the other");
    memcpy(chain.bytes, setup->keys->chain.bytes, sizeof chain.bytes);
    err = cn_pair_resume(&re->pair, next.crypto, next.pair, &chain);
    cn_wipe(&chain, sizeof chain);
    next.pair = &re->pair;
    next.service = CN_SERVICE_REHANDSHAKE;
    memcpy(next.tag, setup->keys->call_id, sizeof next.tag);
    if (err == CN_OK)
        err = cn_handshake_start(&re->handshake, &next, re->prologue);
    if (err != CN_OK)
        return err;
    re->state = CN_REHANDSHAKE_BEGUN;
    re->prologue_due = true;
    return CN_OK;
}

/* The partner begins, or both do. */
static enum cn_err take_prologue(struct cn_rehandshake *re,
                                 const struct cn_rehandshake_setup *setup, const uint8_t *message,
                                 uint64_t now_ms)
{
    enum cn_err err = CN_OK;

    if (re->state == CN_REHANDSHAKE_NONE) {
        if (!has_passed(re, CN_REHANDSHAKE_OCTETS_MIN, CN_REHANDSHAKE_MS_MIN, now_ms))
            return CN_E_UNEXPECTED;
        err = cn_rehandshake_begin(re, setup);
    } else if (re->state != CN_REHANDSHAKE_BEGUN) {
        return CN_E_UNEXPECTED;
    }
    if (err == CN_OK)
        err = cn_handshake_prologue(&re->handshake, message, re->answer);
    if (err != CN_OK)
        return err;
    re->state = CN_REHANDSHAKE_ANSWERED;
    re->answer_due = true;
    re->answer_due_ms = cn_handshake_is_rsa(&re->handshake) ? now_ms + CN_ANSWER_DELAY_MS : now_ms;
    return CN_OK;
}

enum cn_err cn_rehandshake_take(struct cn_rehandshake *re, const struct cn_rehandshake_setup *setup,
                                const uint8_t *message, size_t size, uint64_t now_ms)
{
    enum cn_err err;

    if (size == CN_PROLOGUE_SIZE)
        return take_prologue(re, setup, message, now_ms);
    if (size != CN_ANSWER_SIZE)
        return CN_E_FORMAT;
    if (re->state != CN_REHANDSHAKE_ANSWERED)
        return CN_E_UNEXPECTED;
    err = cn_handshake_answer(&re->handshake, message, &re->keys);
    if (err == CN_OK)
        re->state = CN_REHANDSHAKE_KEYS;
    return err;
}

enum cn_err cn_rehandshake_take_switch(struct cn_rehandshake *re)
{
    if (re->state != CN_REHANDSHAKE_KEYS || re->receive_switched)
        return CN_E_UNEXPECTED;
    re->receive_switched = true;
    return CN_OK;
}

enum cn_rehandshake_word cn_rehandshake_next(struct cn_rehandshake *re, uint64_t now_ms,
                                             const uint8_t **message, size_t *size)
{
    if (re->prologue_due) {
        re->prologue_due = false;
        *message = re->prologue + CN_PROLOGUE_HEAD_SIZE;
        *size = CN_PROLOGUE_SIZE;
        return CN_REHANDSHAKE_PROLOGUE;
    }
    if (re->answer_due && now_ms >= re->answer_due_ms) {
        re->answer_due = false;
        *message = re->answer;
        *size = sizeof re->answer;
        return CN_REHANDSHAKE_ANSWER;
    }
    if (re->state == CN_REHANDSHAKE_KEYS && !re->answer_due && !re->send_switched) {
        re->send_switched = true;
        return CN_REHANDSHAKE_SWITCH;
    }
    return CN_REHANDSHAKE_NOTHING;
}

bool cn_rehandshake_is_done(const struct cn_rehandshake *re)
{
    return re->send_switched && re->receive_finished;
}
