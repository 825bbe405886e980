/* err.h - the one error type of the project, and of its library.
 *
 * Rows are only ever appended: the numbers are part of the library's binary interface. */
#ifndef CN_ERR_H
#define CN_ERR_H

#define CN_API      __attribute__((visibility("default")))
#define CN_MUST_USE __attribute__((warn_unused_result))

/* One row per error: name, who is to blame, close code put on the wire (0 = send none), text.
 * Blame PEER closes one line; US and SYSTEM may stop the process. */
#define CN_ERR_TABLE(X) \
    X(CN_OK, CN_BLAME_NOBODY, 0x00, "success") \
    X(CN_E_MORE, CN_BLAME_NOBODY, 0x00, "more input is needed") \
    X(CN_E_FORMAT, CN_BLAME_PEER, 0x01, "malformed message") \
    X(CN_E_UNEXPECTED, CN_BLAME_PEER, 0x02, "message not allowed in this state") \
    X(CN_E_AUTH, CN_BLAME_PEER, 0x03, "not authentic") \
    X(CN_E_LIMIT, CN_BLAME_PEER, 0x04, "a limit was exceeded") \
    X(CN_E_KEY, CN_BLAME_PEER, 0x00, "the key is not valid") \
    X(CN_E_VERSION, CN_BLAME_PEER, 0x00, "version not supported") \
    X(CN_E_KIND, CN_BLAME_PEER, 0x00, "a file of another kind") \
    X(CN_E_ARMOR, CN_BLAME_PEER, 0x00, "not a Cypher Net file") \
    X(CN_E_TRUNCATED, CN_BLAME_PEER, 0x00, "the end is missing") \
    X(CN_E_CHECKSUM, CN_BLAME_PEER, 0x00, "damaged: the checksum does not match") \
    X(CN_E_SUITE, CN_BLAME_PEER, 0x00, "no common version or suite") \
    X(CN_E_SERVER, CN_BLAME_PEER, 0x00, "belongs to another server") \
    X(CN_E_OWN, CN_BLAME_PEER, 0x00, "this is your own card") \
    X(CN_E_KNOWN, CN_BLAME_PEER, 0x00, "already held under another name") \
    X(CN_E_EXISTS, CN_BLAME_US, 0x00, "already there") \
    X(CN_E_ABSENT, CN_BLAME_US, 0x00, "not there") \
    X(CN_E_NAME, CN_BLAME_US, 0x00, "not a valid name") \
    X(CN_E_OPEN_MODE, CN_BLAME_US, 0x00, "a secret file is accessible by others") \
    X(CN_E_USAGE, CN_BLAME_US, 0x00, "wrong use") \
    X(CN_E_FULL, CN_BLAME_US, 0x00, "output buffer is full") \
    X(CN_E_UNREACHABLE, CN_BLAME_SYSTEM, 0x00, "the server cannot be reached") \
    X(CN_E_ADMISSION, CN_BLAME_US, 0x00, "the server refused admission") \
    X(CN_E_TIMEOUT, CN_BLAME_PEER, 0x00, "time ran out") \
    X(CN_E_INTERRUPTED, CN_BLAME_PEER, 0x00, "the connection ended before the call did") \
    X(CN_E_REFUSED, CN_BLAME_PEER, 0x05, "refused by the partner") \
    X(CN_E_CANCELLED, CN_BLAME_US, 0x06, "cancelled") \
    X(CN_E_CRYPTO, CN_BLAME_SYSTEM, 0x07, "the cryptographic library failed") \
    X(CN_E_RANDOM, CN_BLAME_SYSTEM, 0x07, "no randomness") \
    X(CN_E_MEMORY, CN_BLAME_SYSTEM, 0x07, "out of memory") \
    X(CN_E_SYSTEM, CN_BLAME_SYSTEM, 0x07, "a system call failed") \
    X(CN_E_HUNG_UP, CN_BLAME_SYSTEM, 0x00, "the server hung up without a word") \
    X(CN_E_CONFIG, CN_BLAME_US, 0x00, "not understood") \
    X(CN_E_PROXY, CN_BLAME_SYSTEM, 0x00, "the proxy does not lead to the server") \
    X(CN_E_PART, CN_BLAME_PEER, 0x00, "a part is missing") \
    X(CN_E_MIXED, CN_BLAME_PEER, 0x00, "parts of different cards") \
    X(CN_E_SEALED, CN_BLAME_US, 0x00, "sealed under a passphrase") \
    X(CN_E_PASSPHRASE, CN_BLAME_US, 0x00, "the passphrase is wrong") \
    X(CN_E_ANEW, CN_BLAME_PEER, 0x00, "the partner has begun another call in place of this one")

enum cn_blame { CN_BLAME_NOBODY = 0, CN_BLAME_PEER, CN_BLAME_US, CN_BLAME_SYSTEM };

#define CN_ERR_ENUM(name, blame, code, text) name,
enum cn_err { CN_ERR_TABLE(CN_ERR_ENUM) CN_ERR_COUNT };
#undef CN_ERR_ENUM

#ifdef __cplusplus
extern "C" {
#endif

CN_API const char *cn_err_text(enum cn_err err);
enum cn_blame cn_err_blame(enum cn_err err);
unsigned cn_err_close_code(enum cn_err err);

#ifdef __cplusplus
}
#endif

#endif
