/* session_inside.h - for the files that make a session: session.c turns its states, takes octets
 * and gives them; session_waiting.c is what it says to the server until it is joined;
 * session_keys.c has the fresh keys of one that is open. */
#ifndef CN_SESSION_INSIDE_H
#define CN_SESSION_INSIDE_H

#include "session.h"

/* --- session.c ------------------------------------------------------------------------------ */

void cn_session_enter(struct cn_session *s, enum cn_session_state state, uint64_t deadline_ms);
/* Room for a whole admission message, flight or record at the end of out, or NULL. */
uint8_t *cn_session_out_room(struct cn_session *s, size_t size);
bool cn_session_out_takes_records(const struct cn_session *s);
/* CN_E_FULL: no room. */
CN_MUST_USE enum cn_err cn_session_send_message(struct cn_session *s,
                                                const struct cn_admission_message *message);
CN_MUST_USE enum cn_err cn_session_send_record(struct cn_session *s, const struct cn_piece *pieces,
                                               size_t count, size_t wire_size);
/* From the next record on, this end's have these keys; the first is the Finish. */
CN_MUST_USE enum cn_err cn_session_send_keys(struct cn_session *s, const struct cn_call_keys *keys);
/* The same of the partner's, whose Finish is awaited. */
CN_MUST_USE enum cn_err cn_session_receive_keys(struct cn_session *s,
                                                const struct cn_call_keys *keys);
/* If an identity is RSA, what out has from here on leaves no earlier than so much later. */
void cn_session_hold(struct cn_session *s, size_t from, uint64_t now_ms, unsigned delay_ms);
bool cn_session_is_held(const struct cn_session *s, uint64_t now_ms);
/* But for the tag. */
struct cn_handshake_setup cn_session_handshake_setup(const struct cn_session *s,
                                                     const struct cn_want *want);

/* --- session_waiting.c ---------------------------------------------------------------------- */

bool cn_session_is_waiting(const struct cn_session *s);
/* Nothing else may be said before the rest of a list, but for READY: PROTOCOL.md 3.3. */
bool cn_session_list_is_begun(const struct cn_session *s);
/* Its next message. */
CN_MUST_USE enum cn_err cn_session_list_step(struct cn_session *s);
/* CN_E_ADMISSION: refused; CN_E_LIMIT: fewer wants are allowed than there are. */
CN_MUST_USE enum cn_err cn_session_take_verdict(struct cn_session *s, const uint8_t *in,
                                                struct cn_now now);
/* A message behind it. CN_E_ADMISSION, CN_E_INTERRUPTED (GOAWAY), CN_E_ANEW (a witness). */
CN_MUST_USE enum cn_err cn_session_take_admission(struct cn_session *s, const uint8_t *in,
                                                  struct cn_now now);
/* What is due by now; *done: something was. CN_E_TIMEOUT: the server is silent. */
CN_MUST_USE enum cn_err cn_session_step_waiting(struct cn_session *s, struct cn_now now,
                                                bool *done);
/* When tags change, or late ones are due; and when a silent server is given up. */
uint64_t cn_session_tags_deadline_ms(const struct cn_session *s, struct cn_now now);
uint64_t cn_session_silence_until_ms(const struct cn_session *s);

/* --- session_keys.c ------------------------------------------------------------------------- */

/* What is to be said of them, if there is room for a record. */
CN_MUST_USE enum cn_err cn_session_keys_say(struct cn_session *s, uint64_t now_ms);
/* Whether a record is about them: a frame of it is alone in its record. */
bool cn_session_keys_are(const uint8_t *plain, size_t size);
CN_MUST_USE enum cn_err cn_session_keys_take(struct cn_session *s, const uint8_t *plain,
                                             size_t size, uint64_t now_ms);
/* The first record under them. CN_E_AUTH. */
CN_MUST_USE enum cn_err cn_session_keys_take_finish(struct cn_session *s, const uint8_t *plain,
                                                    size_t size, uint64_t now_ms);

#endif
