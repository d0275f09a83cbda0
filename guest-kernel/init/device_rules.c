#define _GNU_SOURCE
#include "device_rules.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "protocol.h"
#include "sys.h"

/* Six instructions before the rules, at most eight for each, two behind them. */
#define MAX_PROGRAM (8 + 8 * MAX_DEVICE_RULES)

#define INSN(op, destination, source, offset, immediate) \
	((struct bpf_insn){ .code = (op), .dst_reg = (destination), .src_reg = (source), .off = (int16_t)(offset), \
			    .imm = (int32_t)(immediate) })
#define FIELD(register, name) \
	INSN(BPF_LDX | BPF_MEM | BPF_W, register, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, name), 0)

struct program {
	struct bpf_insn code[MAX_PROGRAM];
	uint32_t length;
};

static void add(struct program *p, struct bpf_insn insn)
{
	p->code[p->length++] = insn;
}

/* Registers: 2 what is wanted (BPF_DEVCG_ACC_*), 3 the type, 4 and 5 the number; 0 the answer. */
static void begin(struct program *p)
{
	add(p, FIELD(BPF_REG_3, access_type));
	add(p, INSN(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_3, 0, 0));
	add(p, INSN(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_2, 0, 0, 16));
	add(p, INSN(BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0, 0, 0xffff));
	add(p, FIELD(BPF_REG_4, major));
	add(p, FIELD(BPF_REG_5, minor));
}

/* A comparison whose other outcome leads to the next rule: the offset is filled in at the rule's end. */
static void expect(struct program *p, int reg, uint32_t value)
{
	add(p, INSN(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, 0, value));
}

static void add_rule(struct program *p, const struct device_rule *r)
{
	uint32_t start = p->length;

	if (r->type != 'a')
		expect(p, BPF_REG_3, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (r->access != DEVICE_ALL) {
		add(p, INSN(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_0, BPF_REG_2, 0, 0));
		add(p, INSN(BPF_ALU | BPF_AND | BPF_K, BPF_REG_0, 0, 0, ~r->access & DEVICE_ALL));
		expect(p, BPF_REG_0, 0);
	}
	if (r->major != DEVICE_ANY)
		expect(p, BPF_REG_4, r->major);
	if (r->minor != DEVICE_ANY)
		expect(p, BPF_REG_5, r->minor);
	add(p, INSN(BPF_ALU | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1));
	add(p, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	for (uint32_t i = start; i < p->length; i++)
		if (p->code[i].code == (BPF_JMP32 | BPF_JNE | BPF_K))
			p->code[i].off = (int16_t)(p->length - i - 1);
}

static int load(const struct program *p)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uint64_t)(uintptr_t)p->code,
		.insn_cnt = p->length,
		.license = (uint64_t)(uintptr_t)"",
		.expected_attach_type = BPF_CGROUP_DEVICE,
	};

	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
}

int restrict_devices(int cgroup, const struct container_spec *s, struct failure *f)
{
	static struct program p;
	union bpf_attr attr = { 0 };
	int rc;

	if (s->device_rule_count == 0)
		return 0;
	if (cgroup < 0)
		return fail(f, ERR_SECURITY, ENOENT, "this kernel has no cgroup v2, so devices cannot be kept from the container");
	p.length = 0;
	begin(&p);
	for (uint32_t i = 0; i < s->device_rule_count; i++)
		add_rule(&p, &s->device_rules[i]);
	add(&p, INSN(BPF_ALU | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0));
	add(&p, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)load(&p);
	if ((int)attr.attach_bpf_fd < 0)
		return fail(f, ERR_SECURITY, errno, "the program for the device rules is refused: %s", strerror(errno));
	attr.attach_type = BPF_CGROUP_DEVICE;
	/* A service manager in the container may add programs of its own below. */
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	rc = (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr);
	if (rc)
		fail(f, ERR_SECURITY, errno, "the device rules cannot be set: %s", strerror(errno));
	close((int)attr.attach_bpf_fd);
	return rc;
}
