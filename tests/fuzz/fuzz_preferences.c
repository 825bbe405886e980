/* The file of preferences. What is accepted names suites that there are; what is refused says in
 * which line. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "home.h"
#include "suite.h"

static struct cn_home home;
static char path[PATH_MAX];

static void remove_all(void)
{
    unlink(path);
    rmdir(home.config);
}

static void make(void)
{
    if (path[0])
        return;
    strcpy(home.config, "/tmp/fuzz-preferences-XXXXXX");
    must(mkdtemp(home.config) != NULL);
    snprintf(path, sizeof path, "%s/%s", home.config, CN_PREFERENCES_FILE);
    must(atexit(remove_all) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    uint16_t suite[CN_CARD_LIST_SIZE_MAX];
    size_t count = 0;
    enum cn_err err;
    int fd;

    make();
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, in, in_size) == (ssize_t)in_size && close(fd) == 0);
    err = cn_home_suites(&home, suite, CN_CARD_LIST_SIZE_MAX, &count);
    must(err == CN_OK || err == CN_E_CONFIG);
    must(cn_home_preferences_check(&home) == err);
    for (size_t i = 0; err == CN_OK && i < count; i++)
        must(cn_suite_by_code(suite[i]) != NULL);
    return 0;
}
