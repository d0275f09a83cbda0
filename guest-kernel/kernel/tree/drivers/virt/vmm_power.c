// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the VMM how the machine ends, by one byte to one port. There is no ACPI in this machine: without a handler
 * "power off" would be a halt, which never leaves KVM_RUN with an in-kernel interrupt controller.
 *
 * x86's restart does not call the restart handlers' chain (kernel/reboot.c) but machine_ops.emergency_restart, for
 * reboot(2) and for panic= alike; so that one is replaced, and with it the keyboard controller's and the triple
 * fault's waits. machine_ops is read-only after init, hence a built-in driver and an early initcall.
 */
#include <linux/console.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <asm/reboot.h>

#define VMM_POWER_PORT		0x600
#define VMM_POWER_SIGNATURE	0x56

#define VMM_POWER_OFF		1
#define VMM_POWER_REBOOT	2
#define VMM_POWER_PANIC		3
#define VMM_POWER_HALT		4

static void (*next_emergency_restart)(void);
static void (*next_halt)(void);

/* The VMM stops this CPU within the write; if it returns after all, the kernel's own ways follow. */
static int vmm_power_off(struct sys_off_data *data)
{
	outb(VMM_POWER_OFF, VMM_POWER_PORT);
	return NOTIFY_DONE;
}

static void vmm_power_emergency_restart(void)
{
	outb(VMM_POWER_REBOOT, VMM_POWER_PORT);
	next_emergency_restart();
}

static void vmm_power_halt(void)
{
	machine_shutdown();
	outb(VMM_POWER_HALT, VMM_POWER_PORT);
	next_halt();
}

/* Last of the notifiers: the machine ends here, so the others and the consoles come first. */
static int vmm_power_panic(struct notifier_block *block, unsigned long event, void *message)
{
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	outb(VMM_POWER_PANIC, VMM_POWER_PORT);
	return NOTIFY_DONE;
}

static struct notifier_block vmm_power_panic_block = {
	.notifier_call = vmm_power_panic,
	.priority = INT_MIN,
};

static int __init vmm_power_init(void)
{
	struct sys_off_handler *handler;

	if (inb(VMM_POWER_PORT) != VMM_POWER_SIGNATURE)
		return 0;

	atomic_notifier_chain_register(&panic_notifier_list, &vmm_power_panic_block);
	next_emergency_restart = machine_ops.emergency_restart;
	machine_ops.emergency_restart = vmm_power_emergency_restart;
	next_halt = machine_ops.halt;
	machine_ops.halt = vmm_power_halt;
	handler = register_sys_off_handler(SYS_OFF_MODE_POWER_OFF, SYS_OFF_PRIO_FIRMWARE, vmm_power_off, NULL);
	if (IS_ERR(handler))
		pr_warn("vmm_power: no power-off handler: %ld\n", PTR_ERR(handler));
	return PTR_ERR_OR_ZERO(handler);
}
early_initcall(vmm_power_init);
