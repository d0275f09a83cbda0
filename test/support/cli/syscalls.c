/*
 * Makes system calls with arguments that cannot do anything, and prints for each its name and what came of it:
 * "ok" or an errno. What a filter refuses shows as EPERM or ENOSYS before the kernel has looked at an argument.
 * Static; no C library's wrappers between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct call {
	const char *name;
	long number, args[6];
} calls[] = {
#define BAD_FD 999
#define BAD_PTR 8
#define C(name, ...) { #name, SYS_##name, { __VA_ARGS__ } }
#define N(name, number, ...) { #name, number, { __VA_ARGS__ } }
	C(read, BAD_FD), C(openat, BAD_FD, BAD_PTR), C(stat, BAD_PTR, BAD_PTR), C(mmap, 1), C(ioctl, BAD_FD), C(access, BAD_PTR), C(mincore, 1),
	C(dup3, BAD_FD, BAD_FD), C(connect, BAD_FD), C(getpeername, BAD_FD), C(wait4, -1, BAD_PTR, 99), C(kill, 0, 99), C(semget, -1, -1, 0),
	C(fcntl, BAD_FD), C(ptrace, 99, -1), C(getuid), C(syslog, 10), C(setpgid, -1, -1), C(setfsuid, -1), C(utime, BAD_PTR, BAD_PTR), C(uselib, BAD_PTR),
	C(ustat, -1, BAD_PTR), C(sysfs, 99), C(getpriority, 99), C(vhangup), C(modify_ldt, 99), C(pivot_root, BAD_PTR, BAD_PTR), C(_sysctl, BAD_PTR),
	C(prctl, 9999), C(arch_prctl, 9999), C(adjtimex, BAD_PTR), C(setrlimit, 99), C(chroot, BAD_PTR), C(acct, BAD_PTR), C(settimeofday, BAD_PTR, BAD_PTR),
	C(mount, BAD_PTR, BAD_PTR, BAD_PTR), C(umount2, BAD_PTR, 0x8000), C(swapon, BAD_PTR), C(swapoff, BAD_PTR), C(reboot, 1), C(sethostname, BAD_PTR, 1),
	C(setdomainname, BAD_PTR, 1), C(iopl, 9), C(ioperm, -1, 2, 1), C(create_module), C(init_module, BAD_PTR, 1), C(delete_module, BAD_PTR), C(query_module),
	C(quotactl, -1), C(nfsservctl), C(getpmsg), C(afs_syscall), C(tuxcall), C(security), C(readahead, BAD_FD), C(setxattr, BAD_PTR), C(io_setup, 0, BAD_PTR),
	C(lookup_dcookie, 1, BAD_PTR), C(remap_file_pages, 1), C(timer_create, 99, BAD_PTR), C(clock_settime, 0, BAD_PTR), C(vserver), C(mbind, 1, 1, 99),
	C(set_mempolicy, 99), C(get_mempolicy, BAD_PTR, BAD_PTR, 0, 0, 99), C(mq_unlink, BAD_PTR), C(kexec_load, 0, 0, BAD_PTR, 99), C(add_key, BAD_PTR), C(request_key, BAD_PTR),
	C(keyctl, 999), C(ioprio_get, 9), C(inotify_add_watch, BAD_FD), C(migrate_pages, -1), C(mkdirat, BAD_FD, BAD_PTR), C(unshare, 1), C(unshare, CLONE_NEWUSER | 1),
	C(splice, BAD_FD), C(vmsplice, BAD_FD), C(move_pages, -1), C(utimensat, BAD_FD, BAD_PTR), C(signalfd, BAD_FD), C(timerfd_create, 99), C(eventfd2, 0, -1),
	C(fanotify_init, -1, -1), C(fanotify_mark, BAD_FD, 0), C(name_to_handle_at, BAD_FD, BAD_PTR), C(open_by_handle_at, BAD_FD, BAD_PTR), C(syncfs, BAD_FD), C(setns, BAD_FD),
	C(process_vm_readv, -1), C(kcmp, -1, -1, 99), C(finit_module, BAD_FD, BAD_PTR), C(sched_setattr, -1), C(renameat2, BAD_FD, BAD_PTR, BAD_FD, BAD_PTR, -1), C(seccomp, 99),
	C(getrandom, BAD_PTR, 1, -1), C(memfd_create, BAD_PTR), C(kexec_file_load, BAD_FD, BAD_FD, 0, 0, -1), C(bpf, 999), C(execveat, BAD_FD, BAD_PTR), C(userfaultfd, -1), C(membarrier, -1, -1),
	C(mlock2, 1, 1, -1), C(copy_file_range, BAD_FD, 0, BAD_FD), C(pkey_alloc, -1), C(statx, BAD_FD, BAD_PTR), C(io_uring_setup, 0, BAD_PTR), C(io_uring_enter, BAD_FD), C(io_uring_register, BAD_FD),
	C(open_tree, BAD_FD, BAD_PTR, -1), C(move_mount, BAD_FD, BAD_PTR, BAD_FD, BAD_PTR, -1), C(fsopen, BAD_PTR, -1), C(fsconfig, BAD_FD), C(fsmount, BAD_FD, -1), C(fspick, BAD_FD, BAD_PTR, -1),
	C(pidfd_open, -1, -1), C(clone3, BAD_PTR, 1), C(close_range, 9, 1), C(openat2, BAD_FD, BAD_PTR), C(pidfd_getfd, BAD_FD), C(faccessat2, BAD_FD, BAD_PTR), C(process_madvise, BAD_FD),
	C(epoll_pwait2, BAD_FD), C(mount_setattr, BAD_FD, BAD_PTR), C(quotactl_fd, BAD_FD), C(landlock_create_ruleset, BAD_PTR, 1, -1), C(memfd_secret, -1), C(process_mrelease, BAD_FD),
	C(futex_waitv, BAD_PTR), C(set_mempolicy_home_node, 1), C(perf_event_open, BAD_PTR), C(personality, 0xffffffff), C(personality, 0), C(personality, 8), C(personality, 0x20000), C(personality, 0x40000),
	C(personality, 0x100000000), C(clone, CLONE_NEWNET | CLONE_THREAD), C(clone, CLONE_THREAD), C(clone, 0x100000000 | CLONE_THREAD), C(mknod, BAD_PTR, S_IFCHR),
	C(socket, AF_UNIX, 99), C(socket, AF_INET, 99), C(socket, 11, 99), C(socket, 12, 99), C(socket, AF_NETLINK, 99), C(socket, AF_PACKET, 99), C(socket, 19, 99), C(socket, 25, 99),
	C(socket, AF_ALG, 99), C(socket, AF_VSOCK, 99), C(socket, AF_VSOCK, SOCK_STREAM), C(socket, 41, 99), C(socket, 45, 99), C(socket, 46, 99), C(socket, -1, 99),
	N(cachestat, 451, BAD_FD), N(fchmodat2, 452, BAD_FD, BAD_PTR),
};

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		const struct call *c = &calls[i];
		long rc;

		/* A call that ends the program, or what a filter does to it, ends a child. */
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			alarm(5);
			errno = 0;
			rc = syscall(c->number, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
			printf("%s(0x%lx, 0x%lx) %s\n", c->name, c->args[0], c->args[1], rc == -1 ? strerrorname_np(errno) : "ok");
			fflush(stdout);
			_exit(0);
		}
		int status = 0;
		waitpid(child, &status, 0);
		if (!WIFEXITED(status))
			printf("%s(0x%lx, 0x%lx) signal %d\n", c->name, c->args[0], c->args[1], WTERMSIG(status));
	}
	return 0;
}
