/* A proxy that says anything, in pieces of any size. The first octet says which kind is asked and
 * whether with a user, the second how much is heard at once. */
#include "fuzz.h"

#include "proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_proxy_setting setting;
    static struct cn_proxy proxy;
    enum cn_err err = CN_E_MORE;
    size_t piece, size;

    if (in_size < 2)
        return 0;
    setting.kind = in[0] & 1 ? CN_PROXY_SOCKS5 : CN_PROXY_HTTP;
    setting.has_user = in[0] & 2;
    memcpy(setting.user, "me", 3);
    memcpy(setting.password, "secret", 7);
    piece = in[1] + 1U;
    in += 2;
    in_size -= 2;
    cn_proxy_start(&proxy, &setting, "server.example:7000");
    while (in_size > 0 && err == CN_E_MORE) {
        (void)cn_proxy_output(&proxy, &size);
        must(size <= CN_PROXY_OUT_SIZE_MAX);
        cn_proxy_sent(&proxy, size);
        if (piece > in_size)
            piece = in_size;
        err = cn_proxy_input(&proxy, in, piece);
        in += piece;
        in_size -= piece;
    }
    must(err == CN_OK || err == CN_E_MORE || err == CN_E_PROXY || err == CN_E_UNREACHABLE);
    must((err == CN_OK) == (proxy.state == CN_PROXY_CONNECTED));
    must((err != CN_OK && err != CN_E_MORE) == (proxy.state == CN_PROXY_FAILED));
    must(proxy.state != CN_PROXY_FAILED || proxy.reason[0]);
    return 0;
}
