/* The ordered end: containers, disks, then the machine. */
#define _GNU_SOURCE
#include "power.h"

#include <errno.h>
#include <signal.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "connection.h"
#include "container.h"
#include "device.h"
#include "fatal.h"
#include "loop.h"
#include "options.h"
#include "protocol.h"

#define DEFAULT_TIMEOUT_MS 10000
/* After SIGKILL: for output that the host still has to take. */
#define KILLED_TIMEOUT_MS 2000

static uint32_t mode;
static bool killed, leaving;
static struct timer deadline;

static void machine_off(void)
{
	sync();
	sources_unmount();
	if (options.test_directory)
		_exit(mode == POWER_OFF ? 0 : mode == POWER_REBOOT ? 10 : 11);
	reboot(mode == POWER_REBOOT ? RB_AUTOBOOT : mode == POWER_HALT ? RB_HALT_SYSTEM : RB_POWER_OFF);
	fatal("reboot: %m");
}

static void leave(void)
{
	if (leaving)
		return;
	leaving = true;
	timer_clear(&deadline);
	connection_bye(machine_off);
}

static void leave_if_gone(void)
{
	if (containers_gone())
		leave();
}

static void time_over(struct timer *t)
{
	if (killed) {
		leave();
		return;
	}
	killed = true;
	containers_stop(true);
	timer_set(t, KILLED_TIMEOUT_MS, time_over);
}

int power_shutdown(struct reader payload, struct failure *f)
{
	uint32_t timeout = DEFAULT_TIMEOUT_MS, wanted = POWER_OFF;
	struct field field;
	int more;

	while ((more = next_field(&payload, &field)) == 1) {
		bool ok = true;

		if (field.tag == TAG_POWER)
			ok = field_u32(&field, &wanted) &&
			     (wanted == POWER_OFF || wanted == POWER_REBOOT || wanted == POWER_HALT);
		else if (field.tag == TAG_TIMEOUT)
			ok = field_u32(&field, &timeout);
		else if (field.tag < TAG_OPTIONAL)
			return fail(f, ERR_UNSUPPORTED, 0, "field 0x%04x is not known in this place", field.tag);
		if (!ok)
			return fail(f, ERR_INVALID, 0, "field 0x%04x has a wrong size or value", field.tag);
	}
	if (more < 0)
		return fail(f, ERR_INVALID, 0, "the request's fields are malformed");
	if (leaving)
		return 0;
	mode = wanted;
	on_container_gone = leave_if_gone;
	if (containers_gone()) {
		/* After the reply, which the caller sends when we return. */
		killed = true;
		timer_set(&deadline, 0, time_over);
		return 0;
	}
	killed = timeout == 0;
	containers_stop(killed);
	timer_set(&deadline, killed ? KILLED_TIMEOUT_MS : timeout, time_over);
	return 0;
}
