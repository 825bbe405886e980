/* control.h - how cyphernetctl talks to a running cyphernetd: DIR/control, a stream socket.
 *
 * One request line, then one reply line, a JSON object, then the end. Only the owner of DIR and
 * root may connect. Requests and replies:
 *   registry SERIAL  read the registry again, cut the lines of whoever is blocked now, and tell
 *                    whether the holder of that certificate is (1), or not (0): so who has changed
 *                    the registry knows that it is the one that the server reads
 *                    {"v":1,"event":"registry","blocked":N,"cut":N,"serial_blocked":N}
 *   status           {"v":1,"event":"status", counters ...}
 *   any other        {"v":1,"event":"error","text":"..."} */
#ifndef CN_CONTROL_H
#define CN_CONTROL_H

#define CN_CONTROL_SOCKET   "control"
#define CN_CONTROL_REGISTRY "registry "
#define CN_CONTROL_STATUS   "status\n"

enum {
    CN_CONTROL_REQUEST_SIZE_MAX = 64,
    CN_CONTROL_REPLY_SIZE_MAX = 65536,
    CN_CONTROL_TIMEOUT_MS = 10000 /* for the whole exchange; more than CN_CHANNEL_ANSWER_MS */
};

#endif
