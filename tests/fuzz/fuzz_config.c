/* The server's configuration: whatever the file holds is refused with a complaint, or every value
 * is within its limits. */
#include "fuzz.h"

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_config config, untouched;
    char complaint[CN_CONFIG_COMPLAINT_SIZE];
    char *text = malloc(in_size + 1);
    enum cn_err err;

    if (!text)
        return 0;
    memcpy(text, in, in_size);
    text[in_size] = '\0';
    memset(&untouched, 0xee, sizeof untouched);
    config = untouched;
    memset(complaint, 0x55, sizeof complaint);
    err = cn_config_parse(&config, text, complaint);
    free(text);
    if (err == CN_OK) {
        must(config.hello_timeout >= 1 && config.hello_timeout <= 60);
        must(config.tags_per_line >= 1 && config.tags_per_line <= 4096);
        must(config.keep_alive >= 1 && config.keep_alive <= 3600);
        must(config.prologue_size_max >= 1 && config.prologue_size_max <= 65535);
        must(memchr(config.congestion_control, '\0', CN_CONFIG_WORD_SIZE) != NULL);
    } else {
        must(err == CN_E_FORMAT && memcmp(&config, &untouched, sizeof config) == 0);
        must(memchr(complaint, '\0', sizeof complaint) != NULL && complaint[0] != '\0');
    }
    return 0;
}
