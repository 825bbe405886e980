/* joining.h - two lines that belong together, until the switch has them. PROTOCOL.md 3.4 */
#ifndef CN_JOINING_H
#define CN_JOINING_H

#include "line.h"

/* line and the match's partner belong together from now on. False: there was nobody to be told at
 * the partner's end; it is gone, and line, which has heard nothing, is to look for another. True:
 * line may be gone. */
CN_MUST_USE bool cn_joining_begin(struct cn_line *line, const struct cn_match *match);
/* A line whose partner failed goes back to the head of its queue, and keeps what it has said. It
 * may be gone: a newer line of its subscriber is in its place. */
void cn_joining_partner_returns(struct cn_line *line);

/* After READY: the length of the prologue. The line may be gone. */
void cn_joining_take_length(struct cn_line *line, const uint8_t in[CN_LINE_PROLOGUE_HEAD_SIZE]);
/* All of it is in line->prologue. The line may be gone. */
void cn_joining_prologue_whole(struct cn_line *line);
/* There is room to pass on more of the partner's prologue. False: this line is gone, or the
 * switch's. */
CN_MUST_USE bool cn_joining_pass(struct cn_line *line);

#endif
