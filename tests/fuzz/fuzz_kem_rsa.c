/* A private key from its DER, as it lies in files: what is taken has eight numbers, which libcrypto
 * gets as they are, and is written again octet for octet as it was, if a key of ours can have
 * such numbers, but for zeros that one has too many. The input is that DER; or, if its first octet
 * is 0, numbers, each behind its size (u16), of which it is made. */
#include "../../core/kem_rsa.c"

#include "fuzz.h"

/* The DER of what an RSAPrivateKey holds. */
static size_t wrap(const uint8_t *content, size_t size, struct cn_kem_secret *secret)
{
    const size_t head_size = der_size(sizeof version) + der_size(sizeof algorithm);
    struct cn_writer out = { .at = secret->bytes, .left = sizeof secret->bytes };

    der_head(&out, DER_SEQUENCE, head_size + der_size(der_size(size)));
    der_put(&out, DER_INTEGER, version, sizeof version);
    der_put(&out, DER_SEQUENCE, algorithm, sizeof algorithm);
    der_head(&out, DER_OCTETS, der_size(size));
    der_put(&out, DER_SEQUENCE, content, size);
    return cn_writer_ok(&out) ? sizeof secret->bytes - out.left : 0;
}

static size_t make(struct cn_reader *r, struct cn_kem_secret *secret)
{
    uint8_t content[CN_KEM_SECRET_SIZE_MAX];
    struct cn_writer w = { .at = content, .left = sizeof content };

    der_put(&w, DER_INTEGER, version, sizeof version);
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const size_t wanted = cn_reader_u16be(r);
        const size_t size = wanted < r->left ? wanted : r->left;

        der_put(&w, DER_INTEGER, cn_reader_take(r, size), size);
    }
    return cn_writer_ok(&w) ? wrap(content, sizeof content - w.left, secret) : 0;
}

/* What numbers were taken, as libcrypto would get them, say the same again. */
static void check_numbers(const struct numbers *numbers, const struct cn_kem_secret *secret)
{
    uint8_t content[CN_KEM_SECRET_SIZE_MAX];
    struct cn_writer w = { .at = content, .left = sizeof content };
    struct cn_kem_secret again = { 0 };

    der_put(&w, DER_INTEGER, version, sizeof version);
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const OSSL_PARAM *p = &numbers->params[i];
        const uint8_t *octets = p->data;

        must(strcmp(p->key, number_names[i]) == 0);
        der_head(&w, DER_INTEGER, p->data_size);
        for (size_t k = p->data_size; k > 0; k--)
            cn_writer_u8(&w, octets[k - 1]);
    }
    must(cn_writer_ok(&w));
    again.size = wrap(content, sizeof content - w.left, &again);
    must(again.size == secret->size && memcmp(again.bytes, secret->bytes, again.size) == 0);
}

static void check_key(const struct cn_kem_secret *secret)
{
    struct cn_kem_secret again = { .kind = secret->kind };
    EVP_PKEY *key = secret_parse(secret);

    if (key && secret_make(key, &again)) {
        must(again.size <= secret->size);
        if (again.size == secret->size)
            must(memcmp(again.bytes, secret->bytes, again.size) == 0);
    }
    EVP_PKEY_free(key);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in, .left = in_size };
    struct cn_kem_secret secret = { .kind = CN_KEM_RSA2048 };
    struct cn_kem_public public;
    struct numbers numbers = { .octets = { 0 } };

    if (in_size == 0 || in_size > sizeof secret.bytes)
        return 0;
    if (in[0] == 0) {
        (void)cn_reader_u8(&r);
        secret.size = make(&r, &secret);
    } else {
        memcpy(secret.bytes, in, in_size);
        secret.size = in_size;
    }
    if (numbers_take(&secret, &numbers)) {
        check_numbers(&numbers, &secret);
        check_key(&secret);
    }
    (void)!public_of(&secret, &public);
    return 0;
}
