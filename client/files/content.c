#include "content.h"

enum cn_err cn_block_sum(const struct cn_crypto *crypto, const uint8_t *in, size_t in_size,
                         uint8_t sum[CN_SHA256_SIZE])
{
    return cn_hash_two(crypto, CN_SHA256, in, in_size, NULL, 0, sum);
}

enum cn_err cn_content_begin(struct cn_content *content, const struct cn_crypto *crypto)
{
    cn_content_wipe(content);
    return cn_digest_init(&content->digest, crypto, CN_SHA256);
}

enum cn_err cn_content_add(struct cn_content *content, const uint8_t sum[CN_SHA256_SIZE])
{
    return cn_digest_update(&content->digest, sum, CN_SHA256_SIZE);
}

enum cn_err cn_content_end(struct cn_content *content, uint8_t sum[CN_SHA256_SIZE])
{
    return cn_digest_final(&content->digest, sum);
}

void cn_content_wipe(struct cn_content *content)
{
    cn_digest_wipe(&content->digest);
}
