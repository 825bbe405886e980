#include "bugs.h"

#include <string.h>

#include "faults.h"
#include "mux.h"
#include "owner.h"
#include "pair.h"
#include "record.h"
#include "stream.h"

/* Linked with --wrap. */
void __real_cn_stream_consume(struct cn_stream *stream, size_t size);
void __wrap_cn_stream_consume(struct cn_stream *stream, size_t size);
uint64_t __real_cn_stream_expected(const struct cn_stream *stream);
uint64_t __wrap_cn_stream_expected(const struct cn_stream *stream);
void __real_cn_stream_moved(struct cn_stream *stream);
void __wrap_cn_stream_moved(struct cn_stream *stream);
void __real_cn_stream_widen(struct cn_stream *stream);
void __wrap_cn_stream_widen(struct cn_stream *stream);
enum cn_err __real_cn_record_seal(struct cn_record *record, const struct cn_piece *pieces,
                                  size_t count, size_t wire_size, uint8_t *out);
enum cn_err __wrap_cn_record_seal(struct cn_record *record, const struct cn_piece *pieces,
                                  size_t count, size_t wire_size, uint8_t *out);
enum cn_err __real_cn_record_open(struct cn_record *record, uint8_t *in, size_t in_size,
                                  const uint8_t **plain, size_t *plain_size, size_t *used);
enum cn_err __wrap_cn_record_open(struct cn_record *record, uint8_t *in, size_t in_size,
                                  const uint8_t **plain, size_t *plain_size, size_t *used);
enum cn_err __real_cn_pair_resume(struct cn_pair *resumed, const struct cn_crypto *crypto,
                                  const struct cn_pair *pair,
                                  const struct cn_resume_secret *secret);
enum cn_err __wrap_cn_pair_resume(struct cn_pair *resumed, const struct cn_crypto *crypto,
                                  const struct cn_pair *pair,
                                  const struct cn_resume_secret *secret);
void __real_cn_calling_end(struct cn_call *call, enum cn_err err);
void __wrap_cn_calling_end(struct cn_call *call, enum cn_err err);
void __real_cn_calling_retry(struct cn_call *call, enum cn_err err, struct cn_now now);
void __wrap_cn_calling_retry(struct cn_call *call, enum cn_err err, struct cn_now now);
void __real_cn_calling_tell(struct cn_call *call, enum cn_event_type type, enum cn_err err);
void __wrap_cn_calling_tell(struct cn_call *call, enum cn_event_type type, enum cn_err err);
bool __real_cn_call_next_event(struct cn_call *call, struct cn_event *event);
bool __wrap_cn_call_next_event(struct cn_call *call, struct cn_event *event);
void __real_cn_session_carry(struct cn_session *session, struct cn_mux *mux, struct cn_now now);
void __wrap_cn_session_carry(struct cn_session *session, struct cn_mux *mux, struct cn_now now);

static const struct {
    const char *name;
    const char *about;
} bugs[SIM_BUG_COUNT] = {
    [SIM_BUG_DROP] = { "drop", "an octet is not read" },
    [SIM_BUG_REPEAT] = { "repeat", "an octet is read twice" },
    [SIM_BUG_SPOIL] = { "spoil", "what is said again is not what was said" },
    [SIM_BUG_LEAK] = { "leak", "a record begins with its plaintext" },
    [SIM_BUG_HOARD] = { "hoard", "a window is larger than any may be" },
    [SIM_BUG_CUT_IS_END] = { "cut-is-end", "an interruption is told as an end" },
    [SIM_BUG_STUCK] = { "stuck", "a line that is lost is not dialled again" },
    [SIM_BUG_MUTE] = { "mute", "no acknowledgement is ever due" },
    [SIM_BUG_DURABLE] = { "durable", "octets are said to be on disk before they are" },
    [SIM_BUG_CROSS] = { "cross", "calls of a pair go on under the same tags" },
    [SIM_BUG_LENIENT] = { "lenient", "a forged record is skipped" },
    [SIM_BUG_HUSHED] = { "hushed", "that the partner is quiet is not told" },
    [SIM_BUG_UNTOLD] = { "untold", "that the line is lost is not told" },
    [SIM_BUG_TWICE] = { "twice", "that the line is lost is told twice" },
    [SIM_BUG_UNSAID] = { "unsaid", "that the call goes on is not told" },
    [SIM_BUG_LOCKLESS] = { "lockless", "who watches does not see who waits" },
};

const char *bugs_name(enum sim_bug bug)
{
    return bugs[bug].name;
}

const char *bugs_about(enum sim_bug bug)
{
    return bugs[bug].about;
}

bool bugs_find(const char *name, enum sim_bug *bug)
{
    for (int i = 1; i < SIM_BUG_COUNT; i++) {
        if (strcmp(name, bugs[i].name) != 0)
            continue;
        *bug = (enum sim_bug)i;
        return true;
    }
    return false;
}

void __wrap_cn_stream_consume(struct cn_stream *stream, size_t size)
{
    size_t there;

    (void)cn_stream_peek(stream, &there);
    if (sim.bug == SIM_BUG_DROP && there > size && sim_chance(10))
        size++;
    if (sim.bug == SIM_BUG_REPEAT && size > 1 && sim_chance(10))
        size--;
    __real_cn_stream_consume(stream, size);
}

uint64_t __wrap_cn_stream_expected(const struct cn_stream *stream)
{
    return sim.bug == SIM_BUG_MUTE ? stream->rx_received : __real_cn_stream_expected(stream);
}

void __wrap_cn_stream_moved(struct cn_stream *stream)
{
    __real_cn_stream_moved(stream);
    if (sim.bug == SIM_BUG_SPOIL && stream->tx.first && cn_buffer_size(&stream->tx) > 0) {
        struct cn_chunk *chunk = stream->tx.first;

        chunk->bytes[stream->tx.begin - chunk->base] ^= 1;
    }
}

void __wrap_cn_stream_widen(struct cn_stream *stream)
{
    __real_cn_stream_widen(stream);
    if (sim.bug == SIM_BUG_HOARD)
        stream->rx_limit += CN_MUX_WINDOW_SIZE_MAX;
}

enum cn_err __wrap_cn_record_seal(struct cn_record *record, const struct cn_piece *pieces,
                                  size_t count, size_t wire_size, uint8_t *out)
{
    const enum cn_err err = __real_cn_record_seal(record, pieces, count, wire_size, out);

    if (sim.bug == SIM_BUG_LEAK && err == CN_OK && count > 0)
        memcpy(out + CN_RECORD_HEAD_SIZE, pieces[0].bytes,
               pieces[0].size < wire_size - CN_RECORD_EXTRA_SIZE
                   ? pieces[0].size
                   : wire_size - CN_RECORD_EXTRA_SIZE);
    return err;
}

enum cn_err __wrap_cn_record_open(struct cn_record *record, uint8_t *in, size_t in_size,
                                  const uint8_t **plain, size_t *plain_size, size_t *used)
{
    enum cn_err err = __real_cn_record_open(record, in, in_size, plain, plain_size, used);

    if (sim.bug == SIM_BUG_LENIENT && err == CN_E_AUTH) {
        record->counter++;
        *plain = in;
        *plain_size = 0;
        *used = (size_t)(in[0] << 8 | in[1]) + CN_RECORD_HEAD_SIZE;
        err = *used <= in_size ? CN_OK : CN_E_MORE;
    }
    return err;
}

enum cn_err __wrap_cn_pair_resume(struct cn_pair *resumed, const struct cn_crypto *crypto,
                                  const struct cn_pair *pair, const struct cn_resume_secret *secret)
{
    if (sim.bug != SIM_BUG_CROSS)
        return __real_cn_pair_resume(resumed, crypto, pair, secret);
    *resumed = *pair;
    return CN_OK;
}

void __wrap_cn_calling_end(struct cn_call *call, enum cn_err err)
{
    if (sim.bug == SIM_BUG_CUT_IS_END && err == CN_E_INTERRUPTED)
        err = CN_OK;
    __real_cn_calling_end(call, err);
}

void __wrap_cn_calling_retry(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    __real_cn_calling_retry(call, err, now);
    if (sim.bug == SIM_BUG_STUCK && call->lost)
        call->retry_ms = UINT64_MAX;
}

void __wrap_cn_calling_tell(struct cn_call *call, enum cn_event_type type, enum cn_err err)
{
    if (sim.bug == SIM_BUG_UNTOLD && type == CN_EVENT_LOST)
        return;
    if (sim.bug == SIM_BUG_HUSHED && (type == CN_EVENT_QUIET || type == CN_EVENT_HEARD))
        return;
    __real_cn_calling_tell(call, type, err);
    if (sim.bug == SIM_BUG_TWICE && type == CN_EVENT_LOST)
        __real_cn_calling_tell(call, type, err);
}

bool __wrap_cn_call_next_event(struct cn_call *call, struct cn_event *event)
{
    bool some = __real_cn_call_next_event(call, event);

    while (some && sim.bug == SIM_BUG_UNSAID && event->type == CN_EVENT_RESUMED)
        some = __real_cn_call_next_event(call, event);
    return some;
}

/* No bug: fresh keys come due early. */
void __wrap_cn_session_carry(struct cn_session *session, struct cn_mux *mux, struct cn_now now)
{
    __real_cn_session_carry(session, mux, now);
    faults_rehandshake(session);
}
