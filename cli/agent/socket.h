/* socket.h - where the agent listens, for who listens and who connects there. */
#ifndef CN_SOCKET_H
#define CN_SOCKET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cn_home;

/* $XDG_RUNTIME_DIR/cyphernet-agent.socket; agent.socket in the home if that is all in one
 * directory, or there is no such variable. */
void cn_socket_path(const struct cn_home *home, char path[PATH_MAX]);
/* Listen there, for this user alone, in place of a socket that nobody listens at. -1: errno. */
int cn_socket_listen(const char *path);
/* Connect, without waiting from then on. -1: errno. */
int cn_socket_connect(const char *path);
/* Whether a process of this user is at the other end. */
bool cn_socket_is_ours(int fd);
/* As send and recv, without waiting; with the octets goes a descriptor, which is borrowed, or comes
 * one, which is owned. -1: none. */
ssize_t cn_socket_send(int fd, const void *octets, size_t size, int passed);
ssize_t cn_socket_receive(int fd, void *octets, size_t size, int *passed);

#endif
