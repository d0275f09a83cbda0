/** Network namespaces, and joining an interface of one to a tap. As the calls of ./sys.ts they throw HostCallError. */
import { readSync, writeSync } from 'node:fs';
import { HostCallError } from './errno.ts';
import { declareLazily } from './ffi.ts';
import { check, interfaceRequest, interfaceUp, openTap, withSocket } from './net.ts';
import { close, ioctl, open } from './sys.ts';
import { O_CLOEXEC, O_RDONLY } from './uapi/linux.ts';
import { AF_INET, ifreq, SOCK_CLOEXEC } from './uapi/net.ts';
import * as L from './uapi/netns.ts';

const c = declareLazily<{
  unshare(flags: number): number;
  setns(fd: number, kind: number): number;
  mount(source: string, target: string, fstype: string, flags: number, data: null): number;
  socket(family: number, type: number, protocol: number): number;
}>({
  unshare: 'int unshare(int)',
  setns: 'int setns(int, int)',
  mount: 'int mount(const char *, const char *, const char *, unsigned long, const void *)',
  socket: 'int socket(int, int, int)',
});

/** The calling thread's. */
const OWN = '/proc/thread-self/ns/net';

/** Does `work` and brings the calling thread back to the namespace where it was. */
function andBack<T>(work: () => T): T {
  const fd = open(OWN, O_RDONLY | O_CLOEXEC);
  try {
    return work();
  } finally {
    check(c.setns(fd, L.CLONE_NEWNET), 'setns', ['its own']);
    close(fd);
  }
}

/** Makes a namespace with its loopback switched on, and keeps it at `path`, an empty file, by a mount. */
export function makeNamespace(path: string): void {
  andBack(() => {
    check(c.unshare(L.CLONE_NEWNET), 'unshare', ['CLONE_NEWNET']);
    interfaceUp('lo');
    check(c.mount(OWN, path, 'none', L.MS_BIND, null), 'mount', [path]);
  });
}

/** What a card takes over from an interface. */
export interface Joined {
  /** Of the tap. */
  readonly fd: number;
  readonly mtu: number;
}

/**
 * Makes the tap `tap` in the namespace at `path`, and has all frames that come in by `name` leave by it, and the other way round. The interface gives its
 * IPv4 address up: it is the guest's now, as is its Ethernet address, which becomes that of the guest's card. `hdrSize`: of the virtio_net_hdr
 * before each frame.
 */
export function joinTap(path: string, name: string, tap: string, card: { readonly mac: Uint8Array; readonly hdrSize: number }): Joined {
  const ns = open(path, O_RDONLY | O_CLOEXEC);
  try {
    return andBack(() => {
      check(c.setns(ns, L.CLONE_NEWNET), 'setns', [path]);
      const fd = openTap(tap, card.hdrSize);
      try {
        return { fd, ...withSocket((socket) => joinWith(socket, name, tap, card.mac)) };
      } catch (error) {
        close(fd);
        throw error;
      }
    });
  } finally {
    close(ns);
  }
}

function joinWith(socket: number, name: string, tap: string, mac: Uint8Array): Omit<Joined, 'fd'> {
  const ask = (interfaceName: string, call: number, what: string): Buffer => {
    const request = interfaceRequest(interfaceName);
    ioctl(socket, call, request, what);
    return request;
  };
  const at = ifreq.ifr_addr;
  const hardware = ask(name, L.SIOCGIFHWADDR, 'SIOCGIFHWADDR');
  hardware.set(mac, at + 2);
  ioctl(socket, L.SIOCSIFHWADDR, hardware, 'SIOCSIFHWADDR');
  const mtu = ask(name, L.SIOCGIFMTU, 'SIOCGIFMTU').readInt32LE(at);
  const [from, to] = [name, tap].map((each) => ask(each, L.SIOCGIFINDEX, 'SIOCGIFINDEX').readInt32LE(at)) as [number, number];
  const size = interfaceRequest(tap);
  size.writeInt32LE(mtu, at);
  ioctl(socket, L.SIOCSIFMTU, size, 'SIOCSIFMTU');
  const none = interfaceRequest(name);
  none.writeUInt16LE(AF_INET, at);
  ioctl(socket, L.SIOCSIFADDR, none, 'SIOCSIFADDR');
  // Clearing the address may have switched it off.
  for (const each of [name, tap]) interfaceUp(each);
  withRoutes((send) => {
    redirect(send, from, to);
    redirect(send, to, from);
  });
  return { mtu };
}

// ---- rtnetlink (linux/rtnetlink.h) -------------------------------------------------------------------------------

/** The handle of an ingress qdisc, which its filters have as their parent. */
const INGRESS = 0xffff_0000;

/** All frames that come in by one interface leave by another (tc-mirred(8)); u32 with a key of no bits takes them all. */
function redirect(send: (type: number, body: Buffer) => void, from: number, to: number): void {
  const message = (handle: number, parent: number, info: number): Buffer => {
    const body = Buffer.alloc(L.tcmsg.sizeof);
    body.writeInt32LE(from, L.tcmsg.tcm_ifindex);
    body.writeUInt32LE(handle, L.tcmsg.tcm_handle);
    body.writeUInt32LE(parent >>> 0, L.tcmsg.tcm_parent);
    body.writeUInt32LE(info >>> 0, L.tcmsg.tcm_info);
    return body;
  };
  send(L.RTM_NEWQDISC, Buffer.concat([message(INGRESS, L.TC_H_INGRESS, 0), attribute(L.TCA_KIND, text('ingress'))]));
  const selector = Buffer.alloc(L.tc_u32_sel.sizeof + L.tc_u32_key.sizeof);
  selector[L.tc_u32_sel.flags] = L.TC_U32_TERMINAL;
  selector[L.tc_u32_sel.nkeys] = 1;
  const mirred = Buffer.alloc(L.tc_mirred.sizeof);
  mirred.writeInt32LE(L.TC_ACT_STOLEN, L.tc_mirred.action);
  mirred.writeInt32LE(L.TCA_EGRESS_REDIR, L.tc_mirred.eaction);
  mirred.writeInt32LE(to, L.tc_mirred.ifindex);
  const first = 1;
  const action = attribute(first, attribute(L.TCA_ACT_KIND, text('mirred')), attribute(L.TCA_ACT_OPTIONS, attribute(L.TCA_MIRRED_PARMS, mirred)));
  const options = attribute(L.TCA_OPTIONS, attribute(L.TCA_U32_SEL, selector), attribute(L.TCA_U32_ACT, action));
  const allInNetworkOrder = ((L.ETH_P_ALL & 0xff) << 8) | (L.ETH_P_ALL >> 8);
  send(L.RTM_NEWTFILTER, Buffer.concat([message(0, INGRESS, (first << 16) | allInNetworkOrder), attribute(L.TCA_KIND, text('u32')), options]));
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

/** struct rtattr: u16 length, u16 type, the value, padded to four bytes. */
function attribute(type: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

function withRoutes(work: (send: (type: number, body: Buffer) => void) => void): void {
  const socket = check(c.socket(L.AF_NETLINK, L.SOCK_RAW | SOCK_CLOEXEC, L.NETLINK_ROUTE), 'socket', ['AF_NETLINK']);
  try {
    work((type, body) => {
      const header = Buffer.alloc(L.nlmsghdr.sizeof);
      header.writeUInt32LE(header.length + body.length, L.nlmsghdr.nlmsg_len);
      header.writeUInt16LE(type, L.nlmsghdr.nlmsg_type);
      header.writeUInt16LE(L.NLM_F_REQUEST | L.NLM_F_ACK | L.NLM_F_CREATE | L.NLM_F_EXCL, L.nlmsghdr.nlmsg_flags);
      writeSync(socket, Buffer.concat([header, body]));
      const answer = Buffer.alloc(4096);
      readSync(socket, answer);
      // struct nlmsgerr: an errno below zero, or 0.
      const errno = answer.readUInt16LE(L.nlmsghdr.nlmsg_type) === L.NLMSG_ERROR ? -answer.readInt32LE(L.nlmsghdr.sizeof) : 0;
      if (errno !== 0) throw new HostCallError(type === L.RTM_NEWQDISC ? 'RTM_NEWQDISC' : 'RTM_NEWTFILTER', [], errno);
    });
  } finally {
    close(socket);
  }
}
