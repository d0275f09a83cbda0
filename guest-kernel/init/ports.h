/* The two ports by which a guest speaks to its machine without a driver. */
#ifndef VMM_PORTS_H
#define VMM_PORTS_H

#include <stdint.h>

/* How the machine ends (kernel/tree/drivers/virt/vmm_power.c). */
#define PORT_POWER 0x600
#define POWER_PORT_PANIC 3
/* Marks on the boot time-line. */
#define PORT_MARK 0x601
#define MARK_MAIN 0x40
#define MARK_EXEC 0x41
#define MARK_ENDED 0x42

void write_port(uint16_t port, uint8_t value);
void mark(uint8_t value);

#endif
