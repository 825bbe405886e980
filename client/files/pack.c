#include "pack.h"

#include <stdlib.h>
#include <zstd.h>

enum { LEVEL = 3, SAVING_PERCENT = 10 };

struct cn_packer {
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
};

enum cn_err cn_packer_open(struct cn_packer **packer)
{
    struct cn_packer *p = calloc(1, sizeof *p);

    if (!p)
        return CN_E_MEMORY;
    p->compressor = ZSTD_createCCtx();
    p->decompressor = ZSTD_createDCtx();
    if (!p->compressor || !p->decompressor) {
        cn_packer_close(p);
        return CN_E_MEMORY;
    }
    *packer = p;
    return CN_OK;
}

void cn_packer_close(struct cn_packer *packer)
{
    if (!packer)
        return;
    (void)ZSTD_freeCCtx(packer->compressor);
    (void)ZSTD_freeDCtx(packer->decompressor);
    free(packer);
}

size_t cn_pack(struct cn_packer *packer, const uint8_t *in, size_t in_size, uint8_t *out,
               size_t size_max)
{
    size_t size = ZSTD_compressCCtx(packer->compressor, out, size_max, in, in_size, LEVEL);

    return ZSTD_isError(size) ? 0 : size;
}

bool cn_pack_pays(struct cn_packer *packer, const uint8_t *in, size_t in_size, uint8_t *scratch)
{
    return cn_pack(packer, in, in_size, scratch, in_size - in_size * SAVING_PERCENT / 100) > 0;
}

enum cn_err cn_unpack(struct cn_packer *packer, const uint8_t *in, size_t in_size, uint8_t *out,
                      size_t out_size)
{
    size_t size = ZSTD_decompressDCtx(packer->decompressor, out, out_size, in, in_size);

    return !ZSTD_isError(size) && size == out_size ? CN_OK : CN_E_FORMAT;
}
