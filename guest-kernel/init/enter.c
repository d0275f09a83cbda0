/* From a furnished container to the command: limits, credentials, filter, execve. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "activate.h"
#include "builtin.h"
#include "launch.h"
#include "machine.h"
#include "ports.h"
#include "protocol.h"
#include "stream.h"
#include "sys.h"
#include "users.h"

_Noreturn void launch_failed(const struct launch *l, const struct failure *f)
{
	ssize_t n = write(l->status, f, sizeof *f);

	_exit(n == (ssize_t)sizeof *f ? 125 : 124);
}

static int system_error(struct failure *f, uint32_t code, const char *what)
{
	return fail(f, code, errno, "%s: %s", what, strerror(errno));
}

static int set_stdio(const struct launch *l, const struct identity *id, struct failure *f)
{
	if (setsid() < 0 && errno != EPERM)
		return system_error(f, ERR_TTY, "setsid");
	if (l->tty && ioctl(l->stdio[0], TIOCSCTTY, 0))
		return system_error(f, ERR_TTY, "cannot make the terminal the controlling one");
	for (int i = 0; i < 3; i++) {
		/* /dev/stdout can be opened by the user only if the pipe or terminal is the user's. */
		if (l->stdio[i] != null_fd && fchown(l->stdio[i], id->uid, (gid_t)-1))
			return system_error(f, ERR_SYSTEM, "cannot give the streams to the user");
		if (dup2(l->stdio[i], i) < 0)
			return system_error(f, ERR_SYSTEM, "dup2");
	}
	return 0;
}

#define DEFAULT_FILES 1048576

static const char *const limit_names[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = "cpu",           [RLIMIT_FSIZE] = "fsize",           [RLIMIT_DATA] = "data",
	[RLIMIT_STACK] = "stack",       [RLIMIT_CORE] = "core",             [RLIMIT_RSS] = "rss",
	[RLIMIT_NPROC] = "nproc",       [RLIMIT_NOFILE] = "nofile",         [RLIMIT_MEMLOCK] = "memlock",
	[RLIMIT_AS] = "as",             [RLIMIT_LOCKS] = "locks",           [RLIMIT_SIGPENDING] = "sigpending",
	[RLIMIT_MSGQUEUE] = "msgqueue", [RLIMIT_NICE] = "nice",             [RLIMIT_RTPRIO] = "rtprio",
	[RLIMIT_RTTIME] = "rttime",
};

static int limit_error(const struct rlimit_spec *r, struct failure *f)
{
	struct rlimit most = { 0, 0 };
	int err = errno;

	if (r->resource >= RLIM_NLIMITS)
		return fail(f, ERR_RLIMIT, err, "resource limit %u is not known", r->resource);
	getrlimit((int)r->resource, &most);
	return fail(f, ERR_RLIMIT, err, "limit %s to %llu:%llu: %s (the most is %llu)", limit_names[r->resource],
		    (unsigned long long)r->soft, (unsigned long long)r->hard, strerror(err),
		    (unsigned long long)most.rlim_max);
}

static int set_limits(const struct process_spec *p, struct failure *f)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		if (files.rlim_max > DEFAULT_FILES)
			files.rlim_max = DEFAULT_FILES;
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (uint32_t i = 0; i < p->rlimit_count; i++) {
		struct rlimit limit = { p->rlimits[i].soft, p->rlimits[i].hard };

		if (setrlimit((int)p->rlimits[i].resource, &limit))
			return limit_error(&p->rlimits[i], f);
	}
	return 0;
}

static int load_filter(const struct process_spec *p, struct failure *f)
{
	struct sock_filter *code;
	struct sock_fprog program = { .len = (unsigned short)p->seccomp_count };

	/* A container's filter is for its programs: it may know nothing of what ours need. */
	if (!p->seccomp || p->builtin)
		return 0;
	code = malloc(p->seccomp_count * sizeof *code);
	if (!code)
		return fail(f, ERR_SYSTEM, ENOMEM, "no memory for the seccomp filter");
	memcpy(code, p->seccomp, p->seccomp_count * sizeof *code);
	program.filter = code;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->seccomp_flags, &program))
		return system_error(f, ERR_SECURITY, "the seccomp filter is refused");
	return 0;
}

static int drop_bounding(uint64_t kept, struct failure *f)
{
	for (int cap = 0; cap < 64; cap++) {
		if (kept >> cap & 1 || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/* EINVAL: the kernel knows no more of them */
		if (errno == EINVAL)
			break;
		return fail(f, ERR_SECURITY, errno, "cannot drop capability %d: %s", cap, strerror(errno));
	}
	return 0;
}

static int set_capabilities(const uint64_t *caps, struct failure *f)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(caps[1] >> 32 * i);
		data[i].permitted = (uint32_t)(caps[2] >> 32 * i);
		data[i].inheritable = (uint32_t)(caps[3] >> 32 * i);
	}
	if (syscall(SYS_capset, &header, data))
		return system_error(f, ERR_SECURITY, "cannot set the capabilities");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++)
		if (caps[4] >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return fail(f, ERR_SECURITY, errno, "cannot raise ambient capability %d: %s", cap,
				    strerror(errno));
	return 0;
}

static int become(const struct process_spec *p, const struct identity *id, struct failure *f)
{
	/* Without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go. */
	if (!p->no_new_privs && load_filter(p, f))
		return -1;
	if (p->has_caps && drop_bounding(p->caps[0], f))
		return -1;
	if (prctl(PR_SET_KEEPCAPS, p->has_caps, 0, 0, 0))
		return system_error(f, ERR_SECURITY, "PR_SET_KEEPCAPS");
	if (setgroups(id->group_count, id->groups) || setresgid(id->gid, id->gid, id->gid) ||
	    setresuid(id->uid, id->uid, id->uid))
		return fail(f, ERR_USER, errno, "cannot become user %u, group %u: %s", id->uid, id->gid,
			    strerror(errno));
	if (p->has_caps && set_capabilities(p->caps, f))
		return -1;
	if (p->no_new_privs) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			return system_error(f, ERR_SECURITY, "PR_SET_NO_NEW_PRIVS");
		return load_filter(p, f);
	}
	return 0;
}

static const char *value_of(const struct strings *env, const char *name)
{
	size_t length = strlen(name);
	const char *value = NULL;

	for (uint32_t i = 0; i < env->count; i++)
		if (!strncmp(env->items[i], name, length) && env->items[i][length] == '=')
			value = env->items[i] + length + 1;
	return value;
}

static bool is_executable_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode) && (st.st_mode & 0111) != 0;
}

/* The command's path: as given when it has a slash, else from PATH. */
static int find_command(const struct process_spec *p, char *path, size_t size, struct failure *f)
{
	const char *command = p->args.items[0];
	const char *search = value_of(&p->env, "PATH");
	struct stat st;

	if (strchr(command, '/')) {
		if (stat(command, &st))
			return fail(f, errno == EACCES ? ERR_COMMAND_NOT_EXECUTABLE : ERR_COMMAND_NOT_FOUND, errno,
				    "exec: \"%.80s\": stat %.80s: %s", command, command,
				    errno == ENOENT ? "no such file or directory" : strerror(errno));
		if (S_ISDIR(st.st_mode))
			return fail(f, ERR_COMMAND_NOT_EXECUTABLE, EISDIR, "exec: \"%.160s\": is a directory", command);
		if (!(st.st_mode & 0111))
			return fail(f, ERR_COMMAND_NOT_EXECUTABLE, EACCES, "exec: \"%.160s\": permission denied", command);
		snprintf(path, size, "%s", command);
		return 0;
	}
	if (!search)
		search = "/bin:/usr/bin"; /* confstr(_CS_PATH) */
	for (;;) {
		size_t length = strcspn(search, ":");

		if ((size_t)snprintf(path, size, "%.*s%s%s", (int)length, search, length ? "/" : "./", command) < size &&
		    is_executable_file(path))
			return 0;
		if (!search[length])
			return fail(f, ERR_COMMAND_NOT_FOUND, ENOENT,
				    "exec: \"%.160s\": executable file not found in $PATH", command);
		search += length + 1;
	}
}

/* A process has HOME even if the request forgot it: only here is the user known. */
static char **environment(const struct process_spec *p, const struct identity *id, uint32_t sockets)
{
	char **env = calloc(p->env.count + 4, sizeof *env), **next = env;
	static char home[sizeof id->home + 8], listen[2][32];

	if (!env)
		return NULL;
	/* The first of a name is the one that counts. */
	if (sockets > 0) {
		snprintf(listen[0], sizeof listen[0], "LISTEN_FDS=%u", sockets);
		snprintf(listen[1], sizeof listen[1], "LISTEN_PID=%d", (int)getpid());
		*next++ = listen[0];
		*next++ = listen[1];
	}
	if (p->env.count)
		memcpy(next, p->env.items, p->env.count * sizeof *env);
	if (!value_of(&p->env, "HOME")) {
		snprintf(home, sizeof home, "HOME=%s", id->home);
		next[p->env.count] = home;
	}
	return env;
}

/* What survives execve: the mask, and ignored signals, of which init has one. */
static void reset_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int exec_error(struct failure *f, const char *command, int err)
{
	switch (err) {
	case EACCES:
		return fail(f, ERR_COMMAND_NOT_EXECUTABLE, err, "exec: \"%.160s\": permission denied", command);
	case ENOENT:
		return fail(f, ERR_COMMAND_NOT_FOUND, err,
			    "exec %.160s: no such file or directory (its interpreter or loader is missing)", command);
	case ENOEXEC:
		return fail(f, ERR_COMMAND_NOT_EXECUTABLE, err, "exec %.160s: exec format error", command);
	default:
		return fail(f, ERR_COMMAND_NOT_EXECUTABLE, err, "exec %.160s: %s", command, strerror(err));
	}
}

/* The command is found and everything stands: says so, and waits for RELEASE. */
static void wait_for_release(const struct launch *l)
{
	struct failure prepared = { 0 };
	char go;

	if (l->hold < 0)
		return;
	/* Without init there is nobody to run for. */
	if (write(l->status, &prepared, sizeof prepared) != sizeof prepared || read(l->hold, &go, 1) != 1)
		_exit(124);
}

_Noreturn void enter_process(const struct launch *l)
{
	const struct process_spec *p = l->process;
	uint32_t activated = l->container ? l->container->activated_count : 0;
	static struct identity id;
	struct failure f = { 0 };
	struct launch moved = *l;
	int sockets[MAX_ACTIVATED];
	char path[PATH_MAX];
	char **env;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	umask(p->umask & 0777);
	if (resolve_user(root, p, &id, &f) || set_stdio(l, &id, &f) || set_limits(p, &f))
		launch_failed(l, &f);
	if (chdir(p->cwd ? p->cwd : "/")) {
		fail(&f, ERR_CWD, errno, "chdir to the working directory '%.160s': %s", p->cwd, strerror(errno));
		launch_failed(l, &f);
	}
	if (activated > 0) {
		/* Out of the way of the sockets' places. */
		moved.status = fcntl(l->status, F_DUPFD_CLOEXEC, ACTIVATED_BASE);
		if (moved.status < 0) {
			system_error(&f, ERR_RLIMIT, "no descriptors for sockets");
			launch_failed(l, &f);
		}
		close(l->status);
		l = &moved;
		if (activate_open(l->container, sockets, &f))
			launch_failed(l, &f);
	}
	env = environment(p, &id, activated);
	if (!env || (!p->builtin && find_command(p, path, sizeof path, &f))) {
		if (!env)
			fail(&f, ERR_SYSTEM, ENOMEM, "no memory for the environment");
		launch_failed(l, &f);
	}
	wait_for_release(l);
	if (l->container)
		mark(MARK_EXEC);
	if (become(p, &id, &f))
		launch_failed(l, &f);
	if (p->builtin) {
		/* As an execve does: the end of the status pipe says that it runs. */
		sys_close_range(3, ~0u, 0);
		builtin_run(&p->args);
	}
	sys_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	if (activated > 0)
		activate_place(l->container, sockets);
	reset_signals();
	execve(path, p->args.items, env);
	exec_error(&f, path, errno);
	launch_failed(l, &f);
}

/* Before any namespace is left: /proc is still init's own. */
static int set_oom_score(int32_t value, struct failure *f)
{
	char text[16];
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int rc = 0, length = snprintf(text, sizeof text, "%d", value);

	if (fd < 0 || write(fd, text, (size_t)length) < 0)
		rc = system_error(f, ERR_RLIMIT, "oom_score_adj");
	if (fd >= 0)
		close(fd);
	return rc;
}

static int join_namespaces(const struct launch *l, struct failure *f)
{
	if (!l->container) {
		/* All but the PID namespace, which the parent chose: setns(2) would only change the children's. */
		int all = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWNET;

		return setns(l->leader, all) ? system_error(f, ERR_NAMESPACE, "cannot enter the container") : 0;
	}
	for (int i = 0; i < NS_COUNT; i++)
		if (i != NS_PID && l->joined[i] >= 0 && setns(l->joined[i], (int)namespace_flags[i]))
			return system_error(f, ERR_NAMESPACE, "cannot join the other container's namespace");
	/* After clone3 put us into the cgroup, so that it is the root of what the container sees. */
	if (l->container->namespaces[NS_CGROUP].mode == NAMESPACE_NEW && unshare(CLONE_NEWCGROUP))
		return system_error(f, ERR_NAMESPACE, "cannot make a cgroup namespace");
	if (l->container->namespaces[NS_NET].mode == NAMESPACE_NEW)
		loopback_up();
	return 0;
}

static int set_names(const struct container_spec *c, struct failure *f)
{
	if (c->namespaces[NS_UTS].mode != NAMESPACE_NEW)
		return 0;
	if (c->hostname && sethostname(c->hostname, strlen(c->hostname)))
		return system_error(f, ERR_SYSTEM, "cannot set the host name");
	if (c->domain && setdomainname(c->domain, strlen(c->domain)))
		return system_error(f, ERR_SYSTEM, "cannot set the domain name");
	return 0;
}

_Noreturn void launch_child(const struct launch *l)
{
	const struct container_spec *c = l->container;
	struct failure f = { 0 };

	/* Until execve this process holds init's memory and descriptors amid processes of the container. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	stream_forget_token();
	umask(0);
	if (set_oom_score(l->process->oom_score_adj, &f))
		launch_failed(l, &f);
	if (l->process->mount) {
		int source = change_open(l->process, &f);

		if (f.code || join_namespaces(l, &f) || change_mount(l->process, source, &f))
			launch_failed(l, &f);
		/* The end of the status pipe says that it is done. */
		_exit(0);
	}
	if (join_namespaces(l, &f))
		launch_failed(l, &f);
	if (!c)
		enter_process(l);
	if (set_names(c, &f) || build_root(l, &f) || prepare_mounts(l, &f) || enter_root(&f) ||
	    (!c->sandbox && furnish_root(l, &f)))
		launch_failed(l, &f);
	if (c->sandbox)
		reaper_run(0);
	if (c->reaper) {
		pid_t child = fork();

		if (child < 0) {
			system_error(&f, ERR_SYSTEM, "fork");
			launch_failed(l, &f);
		}
		if (child > 0)
			reaper_run(child);
	}
	enter_process(l);
}
