/*
 * What a file system does, told line by line: the same program runs on a file system of the host and on a share of it in a
 * guest, and what it prints must be the same (test/guest/posix.test.ts). Cases are after pjdfstest's list.
 */
#ifndef POSIX_H
#define POSIX_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The call as it is written, and 0, a small result or its error. */
#define T(call) told(#call, (long)(call))
/* A call that is made for what follows. */
#define DO(call) need(#call, (long)(call))
/* Whether the call moves ctime and mtime of a path (of its parent, when that is named). */
#define TIMES(path, call) do { struct stat b_; before(path, &b_); long r_ = (call); after(#call, path, &b_, r_); } while (0)

void told(const char *call, long result);
void need(const char *call, long result);
void before(const char *path, struct stat *st);
void after(const char *call, const char *path, const struct stat *st, long result);
/* Kind, mode, links, owner, size. */
void show(const char *path);
void showfd(const char *what, int fd);
/* Makes a file of this content; a name of n characters; a path of n characters. */
void file(const char *path, const char *content, mode_t mode);
const char *name_of(size_t n);
const char *path_of(size_t n);
/* Runs as this user, in a process of its own; extra: a supplementary group, or 0. */
void as(uid_t uid, gid_t gid, gid_t extra, void (*work)(void));
/* Opens, tells, and closes. */
long opens(const char *path, int flags, mode_t mode);

void names(void);
void kinds(void);
void permissions(void);
void sticky(void);
void modes(void);
void times(void);
void opening(void);
void renaming(void);
void linking(void);
void sizes(void);
void data(void);
void attributes(void);
void locks(void);
void directories(void);
void sockets(void);

#endif
