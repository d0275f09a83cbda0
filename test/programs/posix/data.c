#include "posix.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void mapped(void)
{
	char *p, *q, text[16] = { 0 };
	int fd = open("map", O_CREAT | O_RDWR, 0644);

	T(ftruncate(fd, 10000));
	p = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T(p == MAP_FAILED ? -1 : 0);
	if (p == MAP_FAILED)
		return;
	strcpy(p + 5000, "by memory");
	T(pread(fd, text, 9, 5000));
	printf("%s\n", text);
	T(pwrite(fd, "by write", 9, 100));
	printf("%s\n", p + 100);
	q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	strcpy(q, "private");
	T(pread(fd, text, 7, 0));
	printf("%d\n", text[0]);
	T(msync(p, 12288, MS_SYNC));
	if (fork() == 0) {
		strcpy(p + 200, "of a child");
		_exit(0);
	}
	wait(NULL);
	printf("%s\n", p + 200);
	munmap(p, 12288);
	munmap(q, 4096);
	close(fd);
	show("map");
}

static void copied(void)
{
	char text[32] = { 0 };
	int from = open("from", O_CREAT | O_RDWR, 0644), to = open("to", O_CREAT | O_RDWR, 0644);
	loff_t at = 2, into = 5;

	T(write(from, "0123456789", 10));
	T(copy_file_range(from, &at, to, &into, 6, 0));
	T(pread(to, text, sizeof text, 0));
	printf("%.6s %lld %lld\n", text + 5, (long long)at, (long long)into);
	at = 8;
	into = 0;
	T(copy_file_range(from, &at, to, &into, 100, 0));
	T(copy_file_range(from, &at, to, &into, 100, 0));
	close(from);
	close(to);
}

static void vectors(void)
{
	char a[3], b[5];
	struct iovec out[3] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } }, in[2] = { { a, 3 }, { b, 5 } };
	int fd = open("v", O_CREAT | O_RDWR, 0644);

	T(writev(fd, out, 3));
	T(preadv(fd, in, 2, 0));
	printf("%.3s %.5s\n", a, b);
	T(pread(fd, a, 3, 8));
	T(pread(fd, a, 3, 7));
	T(pread(fd, a, 0, 0));
	T(pwrite(fd, "z", 1, -1));
	T(fdatasync(fd));
	close(fd);
}

static void direct(void)
{
	void *p;
	int fd = open("direct", O_CREAT | O_RDWR | O_DIRECT, 0644);

	if (fd < 0 || posix_memalign(&p, 4096, 8192))
		return;
	memset(p, 'd', 8192);
	T(write(fd, p, 8192));
	T(pread(fd, p, 4096, 4096));
	close(fd);
	show("direct");
}

static void executed(void)
{
	int fd;

	file("script", "#!/bin/sh\nexit 7\n", 0755);
	printf("script: %d\n", WEXITSTATUS(system("./script")));
	file("script2", "#!/bin/sh\nexit 7\n", 0644);
	T(access("script2", X_OK));
	fd = open("script", O_WRONLY);
	fflush(stdout);
	printf("busy: %d\n", WEXITSTATUS(system("./script 2>/dev/zero")));
	close(fd);
}

void data(void)
{
	mapped();
	copied();
	vectors();
	direct();
	executed();
}
