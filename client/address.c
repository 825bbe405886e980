#include "address.h"

#include <string.h>
#include <sys/socket.h>

#include "fingerprint.h"

int cn_address_resolve(const char *address, struct addrinfo **found)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    char host[CN_ADDRESS_SIZE_MAX + 1];
    const char *colon = strrchr(address, ':');
    bool bracketed = address[0] == '[';
    size_t size = (size_t)(colon - address) - (bracketed ? 2 : 0);
    int failed;

    memcpy(host, address + (bracketed ? 1 : 0), size);
    host[size] = '\0';
    failed = getaddrinfo(host, colon + 1, &hints, found);
    if (failed == EAI_NONAME || failed == EAI_ADDRFAMILY || failed == EAI_NODATA) {
        /* loopback counts as no configured address */
        const struct addrinfo any = { .ai_socktype = SOCK_STREAM };

        failed = getaddrinfo(host, colon + 1, &any, found);
    }
    return failed;
}
