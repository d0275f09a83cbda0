/*
 * TCG plugin: how often each guest instruction ran, from the kernel's entry to its first instruction in user mode.
 * -plugin ./count.so,entry=0xADDRESS,started=0xADDRESS,out=FILE
 *   entry    physical address of the PVH entry: counting begins there (firmware before it is left out)
 *   started  virtual address of start_kernel: from then on an address below 2^47 is user mode
 *   out      one line "ADDRESS COUNT" in hex and decimal for each address; QEMU ends when it is written
 * Each iteration of a REP instruction counts as one, as TCG translates it.
 * One vCPU: the counters are plain. A block is translated after another's run, so both flags are up to date when the
 * code behind them is translated: entry's block begins at entry, and nothing in user mode is reached before started.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin-api.h"

#define CHUNK 65536
#define USER_END (UINT64_C(1) << 47)

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

struct counter {
	uint64_t address;
	uint64_t count;
};

/* Counters are never freed or moved: generated code points at them. */
struct chunk {
	struct chunk *next;
	size_t used;
	struct counter counters[CHUNK];
};

static struct chunk *chunks;
static uint64_t entry, started;
static const char *out;
static int entry_ran, started_ran;

static struct counter *new_counter(uint64_t address)
{
	struct counter *counter;

	if (!chunks || chunks->used == CHUNK) {
		struct chunk *chunk = malloc(sizeof(*chunk));
		if (!chunk)
			abort();
		chunk->next = chunks;
		chunk->used = 0;
		chunks = chunk;
	}
	counter = &chunks->counters[chunks->used++];
	counter->address = address;
	counter->count = 0;
	return counter;
}

static void on_entry(unsigned int vcpu, void *unused)
{
	struct chunk *chunk;

	(void)vcpu, (void)unused;
	if (entry_ran)
		return;
	entry_ran = 1;
	for (chunk = chunks; chunk; chunk = chunk->next)
		for (size_t i = 0; i < chunk->used; i++)
			chunk->counters[i].count = 0;
}

static void on_started(unsigned int vcpu, void *unused)
{
	(void)vcpu, (void)unused;
	started_ran = 1;
}

static void write_counts(void)
{
	FILE *file = fopen(out, "w");

	if (!file) {
		perror(out);
		_exit(1);
	}
	for (struct chunk *chunk = chunks; chunk; chunk = chunk->next)
		for (size_t i = 0; i < chunk->used; i++)
			if (chunk->counters[i].count)
				fprintf(file, "%llx %llu\n", (unsigned long long)chunk->counters[i].address,
					(unsigned long long)chunk->counters[i].count);
	if (fclose(file) != 0) {
		perror(out);
		_exit(1);
	}
}

static void on_user(unsigned int vcpu, void *unused)
{
	(void)vcpu, (void)unused;
	write_counts();
	_exit(0);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);

		if (address == entry)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_entry, QEMU_PLUGIN_CB_NO_REGS, NULL);
		if (address == started)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_started, QEMU_PLUGIN_CB_NO_REGS, NULL);
		if (started_ran && address < USER_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_user, QEMU_PLUGIN_CB_NO_REGS, NULL);
		qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							   &new_counter(address)->count, 1);
	}
}

/* The machine ended without reaching user mode: a panic and a reset, say. The counts still tell how far it came. */
static void on_exit_without_user(qemu_plugin_id_t id, void *unused)
{
	(void)id, (void)unused;
	fprintf(stderr, "count: user mode was not reached\n");
	write_counts();
	_exit(1);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "entry=", 6) == 0)
			entry = strtoull(argv[i] + 6, NULL, 0);
		else if (strncmp(argv[i], "started=", 8) == 0)
			started = strtoull(argv[i] + 8, NULL, 0);
		else if (strncmp(argv[i], "out=", 4) == 0)
			out = strdup(argv[i] + 4);
		else
			return fprintf(stderr, "count: unknown argument %s\n", argv[i]), -1;
	}
	if (!entry || !started || !out)
		return fprintf(stderr, "count: entry=, started= and out= are needed\n"), -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_without_user, NULL);
	return 0;
}
