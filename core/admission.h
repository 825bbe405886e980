/* admission.h - a line to the server, from hello to READY: both sides. PROTOCOL.md 3
 *
 *   subscriber                                server
 *   HELLO     Noise message 1, certificate ->
 *                                          <- VERDICT   Noise message 2
 *   REGISTER  modes and tags               ->
 *                                          <- WAITING
 *   UPDATE, KEEP_ALIVE                    <->  KEEP_ALIVE
 *                                          <- JOINED | GOAWAY | REFUSED
 *   READY, and behind it the prologue      ->
 *
 * Every message is CN_ADMISSION_SIZE octets on the wire, whatever it says. */
#ifndef CN_ADMISSION_H
#define CN_ADMISSION_H

#include "certificate.h"
#include "crypto.h"
#include "err.h"
#include "fingerprint.h"
#include "noise.h"
#include "notice.h"

enum {
    CN_ADMISSION_SIZE = 1024, /* octets of every message */
    CN_ADMISSION_MAC_SIZE = 16,
    CN_TAG_SIZE = 32,
    CN_ENTRY_SIZE = 1 + CN_TAG_SIZE,
    CN_ADMISSION_PLAIN_SIZE = CN_ADMISSION_SIZE - CN_AEAD_TAG_SIZE,
    /* Entries that one REGISTER or UPDATE holds; more follow in further ones. */
    CN_ADMISSION_ENTRY_COUNT_MAX = (CN_ADMISSION_PLAIN_SIZE - 4) / CN_ENTRY_SIZE
};

/* How an end of a call waits: the caller is output, the answerer input. */
enum cn_mode { CN_MODE_OUTPUT = 1, CN_MODE_INPUT = 2 };

struct cn_entry {
    enum cn_mode mode;
    uint8_t tag[CN_TAG_SIZE];
};

enum cn_verdict {
    CN_VERDICT_ADMITTED = 0,
    CN_VERDICT_EXPIRED = 1,
    CN_VERDICT_NOT_YET_VALID = 2,
    CN_VERDICT_REVOKED = 3,
    CN_VERDICT_SUSPENDED = 4,
    CN_VERDICT_OVER_LIMIT = 5,
    CN_VERDICT_REPLACED = 6, /* of a line that waits: a newer one has taken its place */
    CN_VERDICT_COUNT
};

struct cn_admission_verdict {
    enum cn_verdict verdict;
    uint64_t server_time;   /* UTC seconds; for warnings only */
    uint16_t tag_count_max; /* entries that this subscriber may have on a line */
    uint32_t waiting_s;     /* longest wait; 0: no limit */
    uint32_t keep_alive_s;  /* send one this often, with jitter of a quarter less */
    uint32_t spread_s;      /* what a GOAWAY would carry: come back at a random time within it */
    uint16_t notice_size;
    uint8_t notice[CN_NOTICE_SIZE_MAX]; /* for cn_notice_decode; nothing else may be believed */
};

/* Messages after the verdict. */
enum cn_admission_type {
    CN_ADMISSION_REGISTER = 1, /* subscriber: entries */
    CN_ADMISSION_UPDATE = 2,   /* subscriber: entries, replacing all earlier ones */
    CN_ADMISSION_KEEP_ALIVE = 3,
    CN_ADMISSION_READY = 4,   /* subscriber: the prologue follows */
    CN_ADMISSION_WAITING = 5, /* server: registered */
    CN_ADMISSION_JOINED = 6,  /* server: entry[0] matched */
    CN_ADMISSION_GOAWAY = 7,  /* server: come back within spread_s */
    CN_ADMISSION_REFUSED = 8, /* server: reason, an enum cn_verdict */
    CN_ADMISSION_TYPE_COUNT
};

struct cn_admission_message {
    enum cn_admission_type type;
    bool more; /* REGISTER, UPDATE: further entries follow in another of the same type */
    uint16_t entry_count;
    struct cn_entry entry[CN_ADMISSION_ENTRY_COUNT_MAX];
    uint32_t spread_s;
    enum cn_verdict reason;
};

/* An admitted line: 80 octets of keys and counters, for either side. */
struct cn_admission_line {
    struct cn_noise_cipher send;
    struct cn_noise_cipher receive;
};

void cn_admission_line_wipe(struct cn_admission_line *line);

/* CN_E_CRYPTO. The counters never wrap in the life of a line. */
CN_MUST_USE enum cn_err cn_admission_seal(struct cn_admission_line *line,
                                          const struct cn_crypto *crypto,
                                          const struct cn_admission_message *message,
                                          uint8_t out[CN_ADMISSION_SIZE]);
/* CN_E_AUTH: forged; CN_E_FORMAT: authentic nonsense. Close the line on either.
 * The receiver judges whether the type is one that the other side may send now. */
CN_MUST_USE enum cn_err cn_admission_open(struct cn_admission_line *line,
                                          const struct cn_crypto *crypto,
                                          const uint8_t in[CN_ADMISSION_SIZE],
                                          struct cn_admission_message *message);

/* Subscriber: make the hello. noise is kept for the verdict; ephemeral is 32 random octets. */
CN_MUST_USE enum cn_err cn_admission_hello_write(struct cn_noise *noise,
                                                 const struct cn_crypto *crypto,
                                                 const struct cn_fingerprint *fingerprint,
                                                 const uint8_t ephemeral[CN_X25519_SIZE],
                                                 uint8_t out[CN_ADMISSION_SIZE]);
/* Subscriber: read the verdict. On CN_OK line is filled (usable if admitted) and noise wiped.
 * CN_E_AUTH: not from the server of the fingerprint; CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_admission_verdict_read(struct cn_noise *noise,
                                                  const uint8_t in[CN_ADMISSION_SIZE],
                                                  struct cn_admission_verdict *verdict,
                                                  struct cn_admission_line *line);

/* The server's side: its key, made ready once. */
struct cn_admission_server {
    const struct cn_crypto *crypto; /* borrowed */
    struct cn_x25519_key key;
    uint8_t mac_key[CN_SHA256_SIZE];
};

CN_MUST_USE enum cn_err cn_admission_server_init(struct cn_admission_server *server,
                                                 const struct cn_crypto *crypto,
                                                 const struct cn_server_secret *secret);
void cn_admission_server_wipe(struct cn_admission_server *server);

/* A hello that proved possession of an admission key that one of the operators signed. */
struct cn_admission_hello {
    struct cn_noise noise;
    struct cn_certificate certificate;
};

/* Checks, cheapest first: mac1, Noise, the certificate's key, the signature by one of the
 * operators. Any failure: close the line and send nothing. Dates and revocation are for the
 * caller, who answers them in the verdict. CN_E_AUTH, CN_E_FORMAT, CN_E_VERSION, CN_E_KEY. */
CN_MUST_USE enum cn_err cn_admission_hello_read(const struct cn_admission_server *server,
                                                const struct cn_operator_public *operators,
                                                size_t operator_count,
                                                const uint8_t in[CN_ADMISSION_SIZE],
                                                struct cn_admission_hello *hello);
/* The same, with check to say whether the certificate's signature is an operator's. It is asked
 * last, and must not say so of any other. */
CN_MUST_USE enum cn_err cn_admission_hello_read_checked(const struct cn_admission_server *server,
                                                        cn_certificate_check *check, void *context,
                                                        const uint8_t in[CN_ADMISSION_SIZE],
                                                        struct cn_admission_hello *hello);
void cn_admission_hello_wipe(struct cn_admission_hello *hello);

/* Answer: on CN_OK line is filled and hello wiped. ephemeral: 32 random octets. */
CN_MUST_USE enum cn_err cn_admission_verdict_write(struct cn_admission_hello *hello,
                                                   const struct cn_admission_verdict *verdict,
                                                   const uint8_t ephemeral[CN_X25519_SIZE],
                                                   uint8_t out[CN_ADMISSION_SIZE],
                                                   struct cn_admission_line *line);

#endif
