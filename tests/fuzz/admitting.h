/* admitting.h - a server, its operator, and a subscriber's fingerprint that both would admit. */
#ifndef CN_FUZZ_ADMITTING_H
#define CN_FUZZ_ADMITTING_H

#include "fuzz.h"

#include "admission.h"

static const struct cn_server_secret server_secret = { { 0, 1 } };
static const struct cn_operator_secret operator_secret = { { 0, 2 } };

static struct cn_operator_public operator_public;
static struct cn_admission_server server;
static struct cn_fingerprint fingerprint;

/* At the first input. False: it was done. */
static bool admitting_make(void)
{
    if (fingerprint.has_secret)
        return false;
    fingerprint.has_secret = true;
    fingerprint.secret.bytes[1] = 4;
    fingerprint.certificate.not_after = 1;
    must(cn_x25519_public(fingerprint.secret.bytes, fingerprint.certificate.admission_key) ==
         CN_OK);
    must(cn_x25519_public(server_secret.bytes, fingerprint.server_key.bytes) == CN_OK);
    must(cn_certificate_sign(&fingerprint.certificate, &operator_secret) == CN_OK);
    must(cn_ed25519_public(operator_secret.bytes, operator_public.bytes) == CN_OK);
    must(cn_admission_server_init(&server, fuzz_crypto(), &server_secret) == CN_OK);
    return true;
}

#endif
