#include "err.h"

#include <assert.h>

static const struct {
    enum cn_blame blame;
    unsigned char close_code;
    const char *text;
} rows[CN_ERR_COUNT] = {
#define CN_ERR_ROW(name, blame, code, text) [name] = { blame, code, text },
    CN_ERR_TABLE(CN_ERR_ROW)
#undef CN_ERR_ROW
};

const char *cn_err_text(enum cn_err err)
{
    assert(err < CN_ERR_COUNT);
    return rows[err].text;
}

enum cn_blame cn_err_blame(enum cn_err err)
{
    assert(err < CN_ERR_COUNT);
    return rows[err].blame;
}

unsigned cn_err_close_code(enum cn_err err)
{
    assert(err < CN_ERR_COUNT);
    return rows[err].close_code;
}
