/* Checks of an app's surroundings from inside (App Container specification 0.8.11, "App Container Executor"). */
#pragma once

#include <stdbool.h>

/* Remembers a reason for failure; the program goes on. */
__attribute__((format(printf, 1, 2))) void fail(const char *format, ...);
bool exists(const char *path);
/* Makes an empty file; a failure where it cannot. */
void touch(const char *path, const char *text);
/* The file's first line, '' where it cannot be read. */
const char *line_of(const char *path);
/* Waits up to five seconds for the file, as the specification's validator does. */
void await_file(const char *path);

void check_environment(const char *app);
void check_mount(const char *target, const char *word);
void check_linux(void);
/* AC_METADATA_URL and what answers there. */
void check_metadata(const char *app);
void ask(const char *method, const char *path, const char *form);
void check_shared(const char *path, bool first);
