/* Random operations on a file system from a seed, each checked, or told, so that two runs of one seed can be held against each other. */
#ifndef CHURN_H
#define CHURN_H

#define _GNU_SOURCE
#include <stdint.h>

uint32_t chance(uint32_t below);
uint64_t hash(uint64_t h, const void *bytes, unsigned long n);
#define HASH0 14695981039346656037ull

/* Both print what they saw; bytes runs in one file, tree in the working directory. 0, or 1 when a check failed. */
int bytes(const char *path, unsigned long operations);
int tree(unsigned long operations);
/* Makes, checks and removes files; `count` is no multiple of 7919. */
int many(unsigned long count);

#endif
