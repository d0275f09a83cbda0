#include "posix.h"

#include <dirent.h>

#define MANY 3000

static unsigned count(const char *path, unsigned *sum)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	*sum = 0;
	while (d && (e = readdir(d))) {
		n++;
		for (const char *p = e->d_name; *p; p++)
			*sum += (unsigned char)*p;
	}
	if (d)
		closedir(d);
	return n;
}

/* What is there all the time is seen once each, whatever else comes and goes. */
static void changing(void)
{
	DIR *d = opendir("many");
	struct dirent *e;
	unsigned kept = 0, n = 0;
	char name[64];

	while ((e = readdir(d))) {
		if (e->d_name[0] == 'k')
			kept++;
		if (n++ % 10 == 0) {
			snprintf(name, sizeof name, "many/new%u", n);
			file(name, "", 0644);
		}
		if (e->d_name[0] == 'f' && unlinkat(dirfd(d), e->d_name, 0) && errno != ENOENT)
			printf("%s: %s\n", e->d_name, strerror(errno));
	}
	printf("kept ones seen: %u\n", kept);
	rewinddir(d);
	for (kept = 0; (e = readdir(d));)
		kept += e->d_name[0] == 'k';
	printf("again: %u\n", kept);
	closedir(d);
}

static void seeking(void)
{
	DIR *d = opendir("many");
	struct dirent *e;
	char middle[256] = { 0 };
	long at = 0;

	for (unsigned n = 0; (e = readdir(d)); n++) {
		if (n == 700)
			at = telldir(d);
		if (n == 701)
			strcpy(middle, e->d_name);
	}
	seekdir(d, at);
	e = readdir(d);
	printf("seekdir finds it again: %d\n", e && !strcmp(e->d_name, middle));
	closedir(d);
}

void directories(void)
{
	static const unsigned char kinds[] = { DT_REG, DT_DIR, DT_LNK, DT_FIFO };
	unsigned sum, right = 0;
	char name[64];
	struct dirent *e;
	DIR *d;

	DO(mkdir("many", 0755));
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "many/%c%d", i % 3 ? 'k' : 'f', i);
		file(name, "", 0644);
	}
	printf("%u", count("many", &sum));
	printf(" %u\n", sum);
	seeking();
	changing();
	DO(mkdir("kinds", 0755));
	file("kinds/0", "", 0644);
	DO(mkdir("kinds/1", 0755));
	DO(symlink("x", "kinds/2"));
	DO(mkfifo("kinds/3", 0644));
	d = opendir("kinds");
	while (d && (e = readdir(d))) {
		struct stat st;

		if (e->d_name[0] != '.')
			right += e->d_type == DT_UNKNOWN || e->d_type == kinds[e->d_name[0] - '0'];
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			printf("%s: %s\n", e->d_name, strerror(errno));
		else if (strcmp(e->d_name, "..") && st.st_ino != e->d_ino)
			printf("%s: d_ino is another\n", e->d_name);
	}
	closedir(d);
	printf("kinds right: %u\n", right);
	for (int i = 0; i < 200; i++)
		if (mkdir("deep", 0755) || chdir("deep"))
			printf("depth %d: %s\n", i, strerror(errno));
	T(opens("bottom", O_CREAT | O_WRONLY, 0644));
	char path[4096];
	printf("cwd has %zu characters below its start\n", getcwd(path, sizeof path) ? strlen(strstr(path, "/deep")) : 0);
}
