/* server.h - the server: its real gate (server/gate.c, hearing.c, joining.c, line.c, switchboard.c)
 * on connections of net.h, and what moves octets once two lines are joined (workers.c here). */
#ifndef CN_SIM_SERVER_H
#define CN_SIM_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "admission.h"
#include "fingerprint.h"

enum { SERVER_PERSON_COUNT = 2 };

/* Keys and fingerprints; once in the life of the process. */
void server_init(const struct cn_crypto *crypto);
/* That a subscriber has. */
const struct cn_fingerprint *server_fingerprint(int person);

/* A server with nobody on it. */
void server_begin(void);
void server_wipe(void);

bool server_is_up(void);
/* A connection has come; its descriptor is the server's. */
void server_accept(int fd, int person);

/* Killed, as by SIGKILL or a machine that stops: its connections are reset, or nobody hears. */
void server_kill(bool silently);
void server_start(void);
/* Another program takes its place: who waits is sent away, calls go on. */
void server_upgrade(void);
/* The gate dies, and another comes: calls go on, all other lines are reset. */
void server_gate_dies(void);
/* Its clock is so far from the world's. */
void server_clock_set(int64_t ahead_s);
uint64_t server_utc_s(void);
/* So many draws from now on chance fails it once; 0: never. */
void server_random_fails(uint64_t after);

/* Whether there is something to do at this moment. */
bool server_is_ready(void);
void server_turn(void);
uint64_t server_due_ms(void);
/* Lines and calls that it has. */
unsigned server_busy(void);

/* --- calls: workers.c ------------------------------------------------------------------------ */

void relay_begin(void);
bool relay_is_ready(void);
void relay_turn(void);
uint64_t relay_due_ms(void);
/* All calls end. */
void relay_kill(bool silently);
unsigned relay_count(void);

#endif
