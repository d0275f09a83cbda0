#include "posix.h"

#include <sys/file.h>
#include <sys/wait.h>

static int fd;

static long lock(int command, short type, off_t start, off_t length)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
	long rc = fcntl(fd, command, &l);

	if (command == F_GETLK && rc == 0)
		printf("[%s%s] ", l.l_type == F_UNLCK ? "free" : l.l_type == F_RDLCK ? "read" : "write",
		       l.l_type == F_UNLCK ? "" : l.l_pid == getppid() ? " of the parent" : " of another");
	return rc;
}

static void in_child(void (*work)(void))
{
	fflush(stdout);
	if (fork() == 0) {
		work();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void other(void)
{
	T(lock(F_GETLK, F_WRLCK, 0, 10));
	T(lock(F_SETLK, F_WRLCK, 5, 10));
	T(lock(F_SETLK, F_RDLCK, 5, 10));
	T(lock(F_SETLK, F_WRLCK, 20, 0));
}

static void other_flock(void)
{
	int own = open("f", O_RDWR);

	T(flock(own, LOCK_EX | LOCK_NB));
	T(flock(own, LOCK_SH | LOCK_NB));
	close(own);
}

/* Waits for what the parent lets go of. */
static void waits(void)
{
	T(lock(F_SETLKW, F_WRLCK, 0, 10));
	printf("had it\n");
}

/* Two that each have what the other waits for: one of them is told, whoever is the later. */
static void deadlock(void)
{
	int ready[2], refused;
	pid_t child;
	char c = 0;

	if (pipe(ready))
		return;
	lock(F_SETLK, F_WRLCK, 0, 1);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		lock(F_SETLK, F_WRLCK, 1, 1);
		if (write(ready[1], &c, 1) != 1)
			_exit(2);
		_exit(lock(F_SETLKW, F_WRLCK, 0, 1) == -1 && errno == EDEADLK);
	}
	if (read(ready[0], &c, 1) != 1)
		return;
	refused = lock(F_SETLKW, F_WRLCK, 1, 1) == -1 && errno == EDEADLK;
	lock(F_SETLK, F_UNLCK, 0, 0);
	int status = 0;
	waitpid(child, &status, 0);
	refused += WEXITSTATUS(status);
	printf("a deadlock: %d was told\n", refused);
	close(ready[0]);
	close(ready[1]);
}

void locks(void)
{
	pid_t child;
	long rc;

	fd = open("f", O_CREAT | O_RDWR, 0644);
	T(lock(F_SETLK, F_WRLCK, 0, 10));
	in_child(other);
	T(lock(F_SETLK, F_RDLCK, 0, 10));
	in_child(other);
	T(lock(F_SETLK, F_UNLCK, 0, 10));
	in_child(other);
	T(lock(F_SETLK, F_WRLCK, 0, 10));
	fflush(stdout);
	child = fork();
	if (child == 0) {
		waits();
		fflush(stdout);
		_exit(0);
	}
	/* Most probably it waits by now; what is told is the same if not. */
	usleep(50000);
	rc = lock(F_SETLK, F_UNLCK, 0, 10);
	waitpid(child, NULL, 0);
	told("let go", rc);
	deadlock();
	T(lock(F_SETLK, 9, 0, 10));
	T(lock(F_SETLK, F_WRLCK, -5, 3));
	T(flock(fd, LOCK_SH));
	in_child(other_flock);
	T(flock(fd, LOCK_EX));
	in_child(other_flock);
	T(flock(fd, LOCK_UN));
	in_child(other_flock);
	close(fd);
	fd = open("f", O_RDONLY);
	T(lock(F_SETLK, F_WRLCK, 0, 1));
	T(flock(fd, LOCK_EX | LOCK_NB));
	close(fd);
}
