#include "churn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t state;

/* splitmix64 */
uint32_t chance(uint32_t below)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ (z >> 31)) >> 32) % below;
}

/* FNV-1a */
uint64_t hash(uint64_t h, const void *data, unsigned long n)
{
	for (const unsigned char *p = data; n; n--)
		h = (h ^ *p++) * 1099511628211ull;
	return h;
}

/* churn bytes|tree|many DIRECTORY SEED COUNT */
int main(int argc, char **argv)
{
	unsigned long count;

	if (argc != 5 || chdir(argv[2]))
		return 2;
	umask(022);
	state = strtoull(argv[3], NULL, 10);
	count = strtoul(argv[4], NULL, 10);
	if (!strcmp(argv[1], "many"))
		return many(count);
	return strcmp(argv[1], "bytes") ? tree(count) : bytes("file", count);
}
