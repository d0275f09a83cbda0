/* Commands of init's own that START and EXEC run in a container, which may have no program at all. */
#ifndef VMM_BUILTIN_H
#define VMM_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "spec.h"

/* In the container, as its process: reads standard input, writes standard output and error, and ends. */
_Noreturn void builtin_run(const struct strings *args);

/* transfer.c: files as records (docs/agent-protocol.md, "Built-ins"). Each gives the exit status. */
int transfer_stat(const char *path);
int transfer_out(const char *path, const char *as);
int transfer_in(const char *directory);

/* files.c: single files and directories. `write` takes chunks: u32 length, bytes; a length of 0 is the end. */
#define STATUS_MISSING 2
int file_read(const char *path);
int file_write(const char *path, const char *mode, bool append);
int file_list(const char *path);
int file_mkdir(const char *path, const char *mode);
int file_remove(const char *path, bool recursive);
int file_rename(const char *from, const char *to);
/* watch.c: what happens in a directory, or to a file. */
int watch_run(const char *path);
/* connect.c: a connection to a port of the container's own loopback interface. */
int connect_run(const char *port);

/* transfer.c. 0, or -1 with what is wrong told on standard error. */
int put(const void *bytes, size_t length);
int get(void *bytes, size_t length);
int put_record(const char *name, const struct stat *st, const char *link);
int failed(const char *what);
int missing(const char *name);

#endif
