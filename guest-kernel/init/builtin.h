/* Commands of init's own that EXEC runs in a container, which may have no program at all. */
#ifndef VMM_BUILTIN_H
#define VMM_BUILTIN_H

#include "spec.h"

/* In the container, as its process: reads standard input, writes standard output and error, and ends. */
_Noreturn void builtin_run(const struct strings *args);

/* transfer.c: files as records (docs/agent-protocol.md, "Built-ins"). Each gives the exit status. */
int transfer_stat(const char *path);
int transfer_out(const char *path, const char *as);
int transfer_in(const char *directory);

#endif
