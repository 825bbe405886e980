/* subscriber.h - subscribers of a server whose operator's key is at hand, for tools that play many
 * of them. The registry does not learn of their certificates. */
#ifndef CN_TEST_SUBSCRIBER_H
#define CN_TEST_SUBSCRIBER_H

#include "admission.h"
#include "registry.h"
#include "settings.h"

/* A server, as its directory tells of it. */
struct server {
    struct cn_crypto crypto;
    struct cn_settings settings;
    struct cn_operator_secret operator_secret;
};

/* Else the program ends with 1, and says what did not go well. */
void need(bool fine, const char *what);
double now_us(void);
void random_fill(uint8_t *out, size_t size);
/* Descriptors for so many lines. */
void descriptors_allow(size_t count);
/* Owns its crypto until server_wipe. */
void server_take(struct server *server, const char *dir);
void server_wipe(struct server *server);
/* A subscriber who was not there before, valid between two times. */
struct cn_fingerprint fingerprint_make(const struct server *server, uint64_t not_before,
                                       uint64_t not_after);

#endif
