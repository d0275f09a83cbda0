/* START and EXEC requests as structures: parsed and checked, nothing done yet. */
#ifndef VMM_SPEC_H
#define VMM_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"
#include "wire.h"

struct strings {
	char **items; /* NULL-terminated */
	uint32_t count;
};

struct rlimit_spec {
	uint32_t resource;
	uint64_t soft, hard;
};

#define MAX_RLIMITS 16
#define MAX_SECCOMP 4096 /* instructions: BPF_MAXINSNS */

struct process_spec {
	uint32_t container, process;
	struct strings args, env, groups;
	char *cwd, *user;
	uint32_t stdio;
	bool has_winsize;
	uint16_t winsize[4]; /* rows, columns, x and y pixels */
	bool has_caps;
	uint64_t caps[5]; /* bounding, effective, permitted, inheritable, ambient */
	bool no_new_privs;
	struct rlimit_spec rlimits[MAX_RLIMITS];
	uint32_t rlimit_count;
	const uint8_t *seccomp; /* struct sock_filter[], unaligned */
	uint32_t seccomp_count, seccomp_flags;
	int32_t oom_score_adj;
	uint32_t umask;
	bool builtin; /* args name one of init's own commands */
	bool cwd_there; /* it is not made */
	struct mount_spec *mount; /* EXEC: no command runs, this is mounted in the container, or taken away */
	uint32_t action; /* ACTION_* of the mount */
};

struct mount_spec {
	uint32_t kind; /* SOURCE_* */
	char *source, *fstype, *target, *data, *subpath;
	uint64_t flags; /* MS_* of mount(2) */
	uint32_t mode;
	bool has_mode;
};

struct file_spec {
	char *target;
	const uint8_t *content;
	uint32_t size, mode, uid, gid, flags;
};

struct device_spec {
	char *target;
	uint32_t type, major, minor, mode, uid, gid;
};

#define MAX_DEVICE_RULES 64

struct device_rule {
	uint32_t type; /* 'c', 'b' or 'a' (both) */
	uint32_t major, minor; /* DEVICE_ANY: each */
	uint32_t access; /* DEVICE_* that it allows */
};

enum namespace_index { NS_PID, NS_UTS, NS_IPC, NS_CGROUP, NS_NET, NS_COUNT };
extern const uint32_t namespace_flags[NS_COUNT];

struct namespace_spec {
	uint32_t mode; /* NAMESPACE_* */
	uint32_t container;
};

struct container_spec {
	struct process_spec process;
	struct mount_spec root;
	bool has_root, has_overlay, read_only, reaper, sandbox, hold, notify;
	uint32_t overlay_kind; /* OVERLAY_* */
	char *overlay_source;
	uint64_t overlay_size; /* bytes, 0: the file system's default */
	struct mount_spec *mounts;
	uint32_t mount_count;
	struct file_spec *files;
	uint32_t file_count;
	struct device_spec *devices;
	uint32_t device_count;
	struct device_rule device_rules[MAX_DEVICE_RULES];
	uint32_t device_rule_count;
	bool all_devices;
	uint16_t activated[MAX_ACTIVATED]; /* ports of the sockets that the command gets, from descriptor 3 on */
	uint32_t activated_count;
	char *hostname, *domain;
	struct strings masked, readonly, sysctls, cgroup;
	bool masked_closed; /* masked directories have mode 0 */
	struct namespace_spec namespaces[NS_COUNT];
	uint32_t stop_signal;
};

/* Both return 0, or -1 with f filled. Strings live in the arena, other bytes in the payload. */
int parse_start(struct arena *a, struct reader r, struct container_spec *s, struct failure *f);
int parse_exec(struct arena *a, struct reader r, struct process_spec *s, struct failure *f);
/* The body of FILE. */
int parse_file(struct arena *a, struct reader r, struct file_spec *file, struct failure *f);
/* The body of ROOT, MOUNT and VOLUME. */
int parse_mount(struct arena *a, struct reader r, struct mount_spec *m, struct failure *f);

#endif
