/* asking.h - what a command asks of the agent, if there is one. */
#ifndef CN_ASKING_H
#define CN_ASKING_H

#include "cli.h"

/* Whether one is there. */
bool cn_asking_is_there(const struct cn_cli *cli);
/* Have it leave this to us for as long as we run; once for a command. No agent, or one that does
 * not answer, which is said: nothing is left, and none needs to be. */
void cn_asking_leave(struct cn_cli *cli, const char *contact, enum cn_call_service service,
                     bool caller);
/* The talk with a contact that it holds: the connection of demand.h, and the socket of what happens
 * to the line, or -1; both are owned. -1: there is none. */
int cn_asking_attach(const struct cn_cli *cli, const char *contact, int *news_fd);

#endif
