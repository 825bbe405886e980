#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "file.h"
#include "home.h"

/* What commands run, and who gets what, is said in it. */
static bool is_safe(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) /* it is read all the same, which says why it cannot be */
        return true;
    if ((st.st_uid == geteuid() || st.st_uid == 0) && (st.st_mode & 022) == 0)
        return true;
    cn_error("%s: others may change it", path);
    cn_hint("chmod go-w '%s', which must be a file of yours", path);
    return false;
}

static bool text_take(struct cn_rules *rules, const char *path, char *text, size_t size)
{
    char complaint[CN_RULES_COMPLAINT_SIZE];
    enum cn_err err = CN_E_FORMAT;

    snprintf(complaint, sizeof complaint, "it holds a NUL octet");
    text[size] = '\0';
    if (strlen(text) == size)
        err = cn_rules_parse(rules, text, complaint);
    if (err == CN_E_FORMAT) {
        cn_error("%s: %s", path, complaint);
        cn_hint("`cyphernet agent --check` looks at it again; cyphernet-agent(1) says "
                "what it may hold");
    } else if (err != CN_OK) {
        cn_error("%s: %s", path, cn_err_text(err));
    }
    return err == CN_OK;
}

bool cn_rules_file_read(struct cn_cli *cli, struct cn_rules *rules)
{
    char path[PATH_MAX];
    char *text = malloc(CN_RULES_TEXT_SIZE_MAX + 1);
    enum cn_err err = CN_E_MEMORY;
    size_t size = 0;
    bool good;

    snprintf(path, sizeof path, "%s/agent.conf", cli->home->config);
    if (text)
        err = cn_file_read(path, false, text, CN_RULES_TEXT_SIZE_MAX, &size);
    good = err == CN_E_ABSENT;
    if (good)
        *rules = (struct cn_rules) { 0 };
    else if (err == CN_OK)
        good = is_safe(path) && text_take(rules, path, text, size);
    else
        cn_error("%s: %s", path,
                 err == CN_E_SYSTEM ? strerror(errno)
                 : err == CN_E_FULL ? "it is too long"
                                    : cn_err_text(err));
    if (err == CN_E_ABSENT)
        cn_say(cli, "%s is not there: no call is answered, and the queue is delivered", path);
    free(text);
    return good;
}
