#define _GNU_SOURCE
#include "divert.h"

#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "protocol.h"
#include "sys.h"

#define INSN(op, destination, source, offset, immediate) \
	((struct bpf_insn){ .code = (op), .dst_reg = (destination), .src_reg = (source), .off = (int16_t)(offset), \
			    .imm = (int32_t)(immediate) })
/* What the connection is for; `skip` leads to the end, where the usual look-up goes on. */
#define UNLESS(name, value, skip) \
	INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct bpf_sk_lookup, name), 0), \
	INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_2, 0, skip, value)
#define CALL(function) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define MOVE(to, from) INSN(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define SET(to, value) INSN(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value)

static int sys_bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* A map whose one entry is the socket, or -1 with errno. */
static int socket_map(int listener)
{
	union bpf_attr create = { .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 1 };
	uint32_t key = 0, value = (uint32_t)listener;
	union bpf_attr update = { .key = (uint64_t)(uintptr_t)&key, .value = (uint64_t)(uintptr_t)&value };
	int map = sys_bpf(BPF_MAP_CREATE, &create);

	if (map < 0)
		return -1;
	update.map_fd = (uint32_t)map;
	if (sys_bpf(BPF_MAP_UPDATE_ELEM, &update)) {
		close(map);
		return -1;
	}
	return map;
}

/* The program that is asked for each new connection of the machine's network, before those who listen are looked through; or -1 with errno. */
static int load(int map, uint32_t address, uint32_t port)
{
	const struct bpf_insn code[] = {
		MOVE(BPF_REG_6, BPF_REG_1),
		UNLESS(local_port, port, 20),
		UNLESS(family, AF_INET, 18),
		UNLESS(protocol, IPPROTO_TCP, 16),
		UNLESS(local_ip4, address, 14),
		/* The socket: the map's entry 0. */
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		MOVE(BPF_REG_2, BPF_REG_10),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
		INSN(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		CALL(BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 7, 0),
		MOVE(BPF_REG_7, BPF_REG_0),
		MOVE(BPF_REG_1, BPF_REG_6),
		MOVE(BPF_REG_2, BPF_REG_0),
		SET(BPF_REG_3, 0),
		CALL(BPF_FUNC_sk_assign),
		MOVE(BPF_REG_1, BPF_REG_7),
		CALL(BPF_FUNC_sk_release),
		SET(BPF_REG_0, SK_PASS),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SK_LOOKUP,
		.insns = (uint64_t)(uintptr_t)code,
		.insn_cnt = sizeof code / sizeof *code,
		.license = (uint64_t)(uintptr_t)"",
		.expected_attach_type = BPF_SK_LOOKUP,
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

int divert_port(int listener, const uint8_t address[4], uint32_t port, struct failure *f)
{
	union bpf_attr link = { 0 };
	uint32_t number;
	int map = socket_map(listener), program = -1, network = -1, rc = -1;

	memcpy(&number, address, sizeof number);
	if (map >= 0)
		program = load(map, number, port);
	if (program >= 0)
		network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (network >= 0) {
		link.link_create.prog_fd = (uint32_t)program;
		link.link_create.target_fd = (uint32_t)network;
		link.link_create.attach_type = BPF_SK_LOOKUP;
		/* It holds the program, and that the map; nobody closes it. */
		rc = sys_bpf(BPF_LINK_CREATE, &link);
	}
	if (rc < 0)
		fail(f, ERR_SYSTEM, errno, "LISTEN: port %u cannot be shared: %s", port, strerror(errno));
	for (int *fd = (int[]){ map, program, network, -1 }; *fd >= 0; fd++)
		close(*fd);
	return rc < 0 ? -1 : 0;
}
