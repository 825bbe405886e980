/* An URL and a list of hosts that are spared, each up to a line's end. What an URL was understood
 * to mean is an address, and no user or password is in its name. */
#include "fuzz.h"

#include "proxy_setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_proxy_setting setting;
    static char text[8192];
    char name[CN_PROXY_NAME_SIZE];
    char *list;

    if (in_size >= sizeof text)
        return 0;
    memcpy(text, in, in_size);
    text[in_size] = '\0';
    list = text + strcspn(text, "\n");
    if (*list)
        *list++ = '\0';
    memset(&setting, 0, sizeof setting);
    if (cn_proxy_setting_parse(&setting, text) != CN_OK) {
        must(setting.kind == CN_PROXY_NONE);
        return 0;
    }
    must(cn_address_valid(setting.address) && setting.kind != CN_PROXY_NONE);
    must(!strchr(cn_proxy_setting_name(&setting, name), '@'));
    if (strlen(list) > CN_PROXY_SPARED_SIZE_MAX)
        return 0;
    memcpy(setting.spared, list, strlen(list) + 1);
    (void)cn_proxy_setting_applies(&setting, "server.example:7000");
    (void)cn_proxy_setting_applies(&setting, "192.0.2.1:7000");
    (void)cn_proxy_setting_applies(&setting, "[2001:db8::1]:7000");
    must(!cn_proxy_setting_applies(&setting, "127.0.0.1:7000"));
    return 0;
}
