/* Network cards, by rtnetlink (rtnetlink(7)): few messages, each answered before the next one is sent. */
#define _GNU_SOURCE
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fields.h"
#include "kept.h"
#include "protocol.h"

#define MAC_SIZE 6
/* More than anybody gives a card. */
#define MAX_ADDRESSES 64

/* One request: header, the message of its type, attributes. */
struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	} u;
	uint8_t attributes[256];
};

static void begin(struct request *q, uint16_t type, uint16_t flags, size_t size)
{
	memset(q, 0, sizeof *q);
	q->header.nlmsg_len = NLMSG_LENGTH(size);
	q->header.nlmsg_type = type;
	q->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
}

/* Attributes are few and short: all fit. */
static void attribute(struct request *q, uint16_t type, const void *value, size_t size)
{
	struct rtattr *a = (void *)((uint8_t *)q + NLMSG_ALIGN(q->header.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(size);
	memcpy(RTA_DATA(a), value, size);
	q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

/* 0, or -1 with errno. */
static int transact(struct request *q)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		uint8_t rest[512];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (send(fd, q, q->header.nlmsg_len, 0) == (ssize_t)q->header.nlmsg_len)
		n = recv(fd, &answer, sizeof answer, 0);
	close(fd);
	if (n < (ssize_t)(NLMSG_HDRLEN + sizeof answer.error) || answer.header.nlmsg_type != NLMSG_ERROR) {
		if (n >= 0)
			errno = EPROTO;
		return -1;
	}
	errno = -answer.error.error;
	return answer.error.error ? -1 : 0;
}

static bool parse_mac(const char *text, uint8_t mac[MAC_SIZE])
{
	unsigned b[MAC_SIZE];
	char end;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != MAC_SIZE)
		return false;
	for (int i = 0; i < MAC_SIZE; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

static bool find_card(const uint8_t mac[MAC_SIZE], char name[IF_NAMESIZE])
{
	struct if_nameindex *all = if_nameindex();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found = false;

	for (struct if_nameindex *one = all; one && one->if_index && !found; one++) {
		struct ifreq request = { 0 };

		strcpy(request.ifr_name, one->if_name);
		if (ioctl(fd, SIOCGIFHWADDR, &request) || request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
			continue;
		found = !memcmp(request.ifr_hwaddr.sa_data, mac, MAC_SIZE);
		if (found)
			strcpy(name, one->if_name);
	}
	if (fd >= 0)
		close(fd);
	if_freenameindex(all);
	return found;
}

bool network_card(const char *address, char name[16])
{
	uint8_t mac[MAC_SIZE];

	return parse_mac(address, mac) && find_card(mac, name);
}

static int set_link(unsigned index, bool up, uint32_t mtu)
{
	struct request q;

	begin(&q, RTM_NEWLINK, 0, sizeof q.u.link);
	q.u.link.ifi_index = (int)index;
	q.u.link.ifi_change = IFF_UP;
	q.u.link.ifi_flags = up ? IFF_UP : 0;
	if (mtu)
		attribute(&q, IFLA_MTU, &mtu, sizeof mtu);
	return transact(&q);
}

/* Those of IPv6 go with the link; of IPv4 the first goes when it is made none, until there is none. */
static void drop_addresses(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, name);
	for (int left = MAX_ADDRESSES; left > 0 && ioctl(fd, SIOCGIFADDR, &request) == 0; left--) {
		memset(&request.ifr_addr, 0, sizeof request.ifr_addr);
		request.ifr_addr.sa_family = AF_INET;
		if (ioctl(fd, SIOCSIFADDR, &request))
			break;
	}
	if (fd >= 0)
		close(fd);
}

int network_release(const char *address, struct failure *f)
{
	char name[IF_NAMESIZE];

	if (!network_card(address, name))
		return 0;
	drop_addresses(name);
	return set_link(if_nametoindex(name), false, 0)
		       ? fail(f, ERR_SYSTEM, errno, "%s cannot be switched off: %s", name, strerror(errno)) : 0;
}

/* 4 or 16 bytes of an address. */
static bool is_address(uint32_t size)
{
	return size == 4 || size == 16;
}

static uint8_t family(uint32_t size)
{
	return size == 4 ? AF_INET : AF_INET6;
}

/* ADDRESS: u32 prefix length, then the address. */
static int add_address(unsigned index, const char *name, const struct field *field, struct failure *f)
{
	const uint8_t *address = field->value + 4;
	uint32_t size = field->length - 4, prefix, flags = IFA_F_NODAD;
	struct request q;

	if (field->length < 4 || !is_address(size) || (prefix = get_u32(field->value)) > size * 8)
		return invalid(f, field, "not an address");
	begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof q.u.address);
	q.u.address.ifa_family = family(size);
	q.u.address.ifa_prefixlen = (uint8_t)prefix;
	q.u.address.ifa_index = index;
	attribute(&q, IFA_LOCAL, address, size);
	attribute(&q, IFA_ADDRESS, address, size);
	if (size == 16) {
		/* The host gives each address once. */
		attribute(&q, IFA_FLAGS, &flags, sizeof flags);
	} else if (prefix < 31) {
		uint8_t broadcast[4];

		store_u32(broadcast, get_u32(address));
		for (uint32_t bit = prefix; bit < 32; bit++)
			broadcast[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		attribute(&q, IFA_BROADCAST, broadcast, sizeof broadcast);
	}
	return transact(&q) ? fail(f, ERR_SYSTEM, errno, "%s cannot have an address: %s", name, strerror(errno)) : 0;
}

int network_loopback(const struct field *address, struct failure *f)
{
	unsigned index = if_nametoindex("lo");

	if (set_link(index, true, 0))
		return fail(f, ERR_SYSTEM, errno, "lo cannot be switched on: %s", strerror(errno));
	return add_address(index, "lo", address, f);
}

/* ROUTE: u32 prefix length, u32 metric, the destination, then a gateway or nothing. */
static int add_route(unsigned index, const char *name, const struct field *field, struct failure *f)
{
	const uint8_t *to = field->value + 8;
	uint32_t left = field->length - 8, size = left == 4 || left == 8 ? 4 : 16, prefix, metric;
	struct request q;

	if (field->length < 8 || (left != size && left != 2 * size) || (prefix = get_u32(field->value)) > size * 8)
		return invalid(f, field, "not a route");
	metric = get_u32(field->value + 4);
	begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof q.u.route);
	q.u.route.rtm_family = family(size);
	q.u.route.rtm_dst_len = (uint8_t)prefix;
	q.u.route.rtm_table = RT_TABLE_MAIN;
	q.u.route.rtm_protocol = RTPROT_BOOT;
	q.u.route.rtm_scope = left == size ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	q.u.route.rtm_type = RTN_UNICAST;
	if (prefix)
		attribute(&q, RTA_DST, to, size);
	if (left == 2 * size)
		attribute(&q, RTA_GATEWAY, to + size, size);
	if (metric)
		attribute(&q, RTA_PRIORITY, &metric, sizeof metric);
	attribute(&q, RTA_OIF, &index, sizeof index);
	return transact(&q) ? fail(f, ERR_SYSTEM, errno, "%s cannot have a route: %s", name, strerror(errno)) : 0;
}

/* Addresses or routes of an INTERFACE: routes want the addresses first. */
static int each(struct reader r, uint16_t tag, unsigned index, const char *name, struct failure *f)
{
	struct field field;

	while (next_field(&r, &field) == 1)
		if (field.tag == tag && (tag == TAG_ADDRESS ? add_address : add_route)(index, name, &field, f))
			return -1;
	return 0;
}

/*
 * What the host gives is all that the card has: a router's advertisement would add an address that the host does not know, and a route by it,
 * some time after the start. Without IPv6 there is nothing to switch off.
 */
static void ignore_routers(const char *name)
{
	static const char *const settings[] = { "accept_ra", "autoconf" };

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		char path[64 + IF_NAMESIZE];
		int fd;

		snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", name, settings[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, "0", 1) != 1) {
			/* The card works all the same. */
		}
		close(fd);
	}
}

static int configure_interface(struct reader all, struct failure *f)
{
	const uint8_t *mac = NULL;
	struct reader r = all;
	char name[IF_NAMESIZE];
	struct field field;
	uint32_t mtu = 0;
	unsigned index;
	int more;

	while ((more = next_field(&r, &field)) == 1) {
		int rc = 0;

		if (field.tag == TAG_CARD)
			rc = field.length == MAC_SIZE ? (mac = field.value, 0) : invalid(f, &field, "must have 6 bytes");
		else if (field.tag == TAG_MTU)
			rc = take_u32(&field, &mtu, f);
		else if (field.tag != TAG_ADDRESS && field.tag != TAG_ROUTE)
			rc = unknown(f, &field);
		if (rc)
			return -1;
	}
	if (more < 0 || !mac)
		return fail(f, ERR_INVALID, 0, "INTERFACE: malformed, or without CARD");
	if (!find_card(mac, name))
		return fail(f, ERR_DEVICE, ENOENT, "there is no card with the address %02x:%02x:%02x:%02x:%02x:%02x", mac[0],
			    mac[1], mac[2], mac[3], mac[4], mac[5]);
	index = if_nametoindex(name);
	if (count_fields(all, TAG_ADDRESS))
		ignore_routers(name);
	/* Up first: a route through a gateway wants an interface that is. */
	if (set_link(index, true, mtu))
		return fail(f, ERR_SYSTEM, errno, "%s cannot be switched on: %s", name, strerror(errno));
	return each(all, TAG_ADDRESS, index, name, f) || each(all, TAG_ROUTE, index, name, f) ? -1 : 0;
}

int network_configure(struct reader payload, struct failure *f)
{
	struct arena arena = { 0 };
	struct file_spec file;
	uint32_t container = 0;
	struct field field;
	int more, rc = 0;

	while (!rc && (more = next_field(&payload, &field)) == 1) {
		switch (field.tag) {
		case TAG_INTERFACE:
			rc = configure_interface(field_reader(&field), f);
			break;
		case TAG_CONTAINER:
			rc = take_u32(&field, &container, f);
			break;
		case TAG_FILE:
			memset(&file, 0, sizeof file);
			rc = parse_file(&arena, field_reader(&field), &file, f);
			if (!rc)
				rc = kept_write(container, &file, f);
			break;
		default:
			rc = unknown(f, &field);
		}
	}
	arena_free(&arena);
	if (!rc && more < 0)
		rc = fail(f, ERR_INVALID, 0, "NETWORK: malformed");
	return rc;
}
