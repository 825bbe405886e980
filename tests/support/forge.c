/* forge DIR LABEL NOT_BEFORE NOT_AFTER: what cyphernetctl would not issue. Writes to standard
 * output a fingerprint signed with DIR/operator.key for a fresh admission key, valid between two
 * times (UTC, seconds since 1970) that may both be past or both to come. The registry does not
 * learn of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "armor.h"
#include "subscriber.h"

int main(int argc, char **argv)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct server server;
    struct cn_fingerprint f;
    size_t size = 0;

    if (argc != 5 || !cn_label_valid(argv[2]))
        return 2;
    server_take(&server, argv[1]);
    f = fingerprint_make(&server, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    f.operator_key = server.settings.operators[0];
    f.address_count = server.settings.public_count;
    memcpy(f.address, server.settings.public_address, sizeof f.address);
    strcpy(f.label, argv[2]);
    need(cn_fingerprint_encode(&server.crypto, &f, text, sizeof text, &size) == CN_OK,
         "fingerprint");
    server_wipe(&server);
    return fwrite(text, 1, size, stdout) == size && fclose(stdout) == 0 ? 0 : 1;
}
