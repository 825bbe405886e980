/* command_line.h - a command as a rule has it, in words. No shell reads it. */
#ifndef CN_COMMAND_LINE_H
#define CN_COMMAND_LINE_H

#include "err.h"

/* Split text at its blanks; what stands between two ' or two " is one word with what it touches.
 * *words is one block for free(), with a NULL at its end. CN_E_FORMAT: there is no word, or a quote
 * without its second; CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_command_line_split(const char *text, char ***words);
/* A copy of the words, likewise, in which every %n is this contact's name, and %% is %. NULL: no
 * memory. */
char **cn_command_line_for(char *const *words, const char *contact);

#endif
