#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appc.h"

static char reasons[8192];
static size_t reasons_length;

void fail(const char *format, ...)
{
	va_list args;
	char text[512];
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	reasons_length += snprintf(reasons + reasons_length, sizeof(reasons) - reasons_length, "==> %s\n", text);
	if (reasons_length >= sizeof(reasons)) reasons_length = sizeof(reasons) - 1;
}

bool exists(const char *path)
{
	struct stat stat;
	return lstat(path, &stat) == 0;
}

void touch(const char *path, const char *text)
{
	FILE *file = fopen(path, "wx");
	if (file == NULL) {
		fail("%s cannot be made: %s", path, strerror(errno));
		return;
	}
	fputs(text, file);
	fclose(file);
}

const char *line_of(const char *path)
{
	static char line[512];
	FILE *file = fopen(path, "r");
	line[0] = 0;
	if (file == NULL) return line;
	if (fgets(line, sizeof(line), file) != NULL) line[strcspn(line, "\n")] = 0;
	fclose(file);
	return line;
}

void await_file(const char *path)
{
	for (int i = 0; i < 500 && !exists(path); i++) usleep(10000);
	if (!exists(path)) fail("%s has not come", path);
}

static void absent(const char *path)
{
	if (exists(path)) fail("%s is there already", path);
}

static void present(const char *path)
{
	if (!exists(path)) fail("%s is not there", path);
}

static void prestart(void)
{
	absent("/prestart");
	absent("/main");
	absent("/poststop");
	check_environment("ace-validator-main");
	touch("/prestart", "");
}

static void run_main(void)
{
	char cwd[256] = "";
	present("/prestart");
	absent("/main");
	absent("/poststop");
	touch("/main", "");
	check_environment("ace-validator-main");
	if (strcmp(getcwd(cwd, sizeof(cwd)) == NULL ? "" : cwd, "/opt/acvalidator") != 0) fail("the working directory is %s", cwd);
	if (strcmp(getenv("IN_ACE_VALIDATOR") ?: "", "correct") != 0) fail("IN_ACE_VALIDATOR is %s", getenv("IN_ACE_VALIDATOR"));
	check_mount("/db", "rw");
	check_linux();
	check_metadata("ace-validator-main");
	await_file("/db/sidekick");
	absent("/db/main");
	check_shared("/db/namespaces", false);
	touch("/db/main", "");
}

static void sidekick(void)
{
	char pid[32];
	absent("/db/sidekick");
	check_environment("ace-validator-sidekick");
	check_shared("/db/namespaces", true);
	snprintf(pid, sizeof(pid), "%d\n", getpid());
	touch("/db/sidekick", pid);
	await_file("/db/main");
}

static void poststop(void)
{
	present("/prestart");
	present("/main");
	absent("/poststop");
	check_environment("ace-validator-main");
	touch("/poststop", "");
}

/* ids UID GID GROUP,… (sorted) */
static void ids(const char *uid, const char *gid, const char *wanted)
{
	gid_t groups[64];
	char text[512] = "";
	int count = getgroups(64, groups);
	for (int i = 0; i < count; i++) {
		for (int j = i + 1; j < count; j++) {
			if (groups[j] < groups[i]) {
				gid_t other = groups[i];
				groups[i] = groups[j];
				groups[j] = other;
			}
		}
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u", i == 0 ? "" : ",", groups[i]);
	}
	if (getuid() != (uid_t)atoi(uid) || geteuid() != getuid()) fail("the user is %u", getuid());
	if (getgid() != (gid_t)atoi(gid) || getegid() != getgid()) fail("the group is %u", getgid());
	if (strcmp(text, wanted) != 0) fail("the groups are %s, not %s", text, wanted);
}

/* status KEY VALUE: a line of /proc/self/status */
static void status(const char *key, const char *wanted)
{
	char line[512];
	FILE *file = fopen("/proc/self/status", "r");
	size_t length = strlen(key);
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, key, length) != 0 || line[length] != ':') continue;
		char *value = line + length + 1;
		value += strspn(value, " \t");
		value[strcspn(value, "\n")] = 0;
		if (strcmp(value, wanted) != 0) fail("%s is %s, not %s", key, value, wanted);
		fclose(file);
		return;
	}
	fail("/proc/self/status has no %s", key);
}

static void line(const char *path, const char *wanted)
{
	const char *found = line_of(path);
	if (strcmp(found, wanted) != 0) fail("%s says %s, not %s", path, found, wanted);
}

static void read_only(const char *folder)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/trial", folder);
	FILE *file = fopen(path, "w");
	if (file != NULL) fail("%s can be written to", folder);
	else if (errno != EROFS) fail("%s: %s", path, strerror(errno));
}

static void writable(const char *folder)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/trial", folder);
	FILE *file = fopen(path, "w");
	if (file == NULL) fail("%s: %s", path, strerror(errno));
	else fclose(file);
}

/* mode PATH OCTAL UID GID */
static void mode(const char *path, const char *octal, const char *uid, const char *gid)
{
	struct stat stat_;
	if (stat(path, &stat_) != 0) fail("%s: %s", path, strerror(errno));
	else if ((stat_.st_mode & 07777) != strtoul(octal, NULL, 8) || stat_.st_uid != (uid_t)atoi(uid) || stat_.st_gid != (gid_t)atoi(gid)) fail("%s has mode %o and belongs to %u:%u", path, stat_.st_mode & 07777, stat_.st_uid, stat_.st_gid);
}

static volatile sig_atomic_t asked;

static void on_term(int signal)
{
	asked = signal;
}

/* Says that it waits, and ends with SIGTERM. */
static void until_term(void)
{
	struct sigaction action = { .sa_handler = on_term };
	sigset_t none, term;
	sigemptyset(&none);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigaction(SIGTERM, &action, NULL);
	puts("waiting");
	fflush(stdout);
	while (!asked) sigsuspend(&none);
	puts("asked to end");
}

/* Words of the command line, each with its own arguments; they are done one after the other. */
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char **arg = argv + i;
		int left = argc - i - 1;
		if (strcmp(*arg, "prestart") == 0) prestart();
		else if (strcmp(*arg, "main") == 0) run_main();
		else if (strcmp(*arg, "sidekick") == 0) sidekick();
		else if (strcmp(*arg, "poststop") == 0) poststop();
		else if (strcmp(*arg, "linux") == 0) check_linux();
		else if (strcmp(*arg, "until-term") == 0) until_term();
		else if (strcmp(*arg, "metadata") == 0 && left >= 1) check_metadata(arg[1]), i += 1;
		else if (strcmp(*arg, "ask") == 0 && left >= 3) ask(arg[1], arg[2], arg[3]), i += 3;
		else if (strcmp(*arg, "environment") == 0 && left >= 1) check_environment(arg[1]), i += 1;
		else if (strcmp(*arg, "await") == 0 && left >= 1) await_file(arg[1]), i += 1;
		else if (strcmp(*arg, "touch") == 0 && left >= 1) touch(arg[1], ""), i += 1;
		else if (strcmp(*arg, "say") == 0 && left >= 1) puts(arg[1]), fflush(stdout), i += 1;
		else if (strcmp(*arg, "write") == 0 && left >= 1) fputs(arg[1], stdout), fflush(stdout), i += 1;
		else if (strcmp(*arg, "exit") == 0 && left >= 1) return atoi(arg[1]);
		else if (strcmp(*arg, "signal") == 0 && left >= 1) raise(atoi(arg[1])), i += 1;
		else if (strcmp(*arg, "read-only") == 0 && left >= 1) read_only(arg[1]), i += 1;
		else if (strcmp(*arg, "writable") == 0 && left >= 1) writable(arg[1]), i += 1;
		else if (strcmp(*arg, "status") == 0 && left >= 2) status(arg[1], arg[2]), i += 2;
		else if (strcmp(*arg, "line") == 0 && left >= 2) line(arg[1], arg[2]), i += 2;
		else if (strcmp(*arg, "mount") == 0 && left >= 2) check_mount(arg[1], arg[2]), i += 2;
		else if (strcmp(*arg, "ids") == 0 && left >= 3) ids(arg[1], arg[2], arg[3]), i += 3;
		else if (strcmp(*arg, "mode") == 0 && left >= 4) mode(arg[1], arg[2], arg[3], arg[4]), i += 4;
		else {
			fprintf(stderr, "what is %s?\n", *arg);
			return 64;
		}
	}
	const char *name = argc > 1 ? argv[1] : "nothing";
	if (reasons_length == 0) {
		printf("%s OK\n", name);
		return 0;
	}
	fprintf(stderr, "%s FAIL\n%s", name, reasons);
	return 1;
}
