/** System calls of network cards: taps and sockets. As those of ./sys.ts: they throw HostCallError, `…Try` gives -errno. */
import { EINTR, ENODEV } from '../../assembly/contract/generated/errno.ts';
import { HostCallError } from './errno.ts';
import { declareLazily, lastErrno } from './ffi.ts';
import { close, ioctl, ioctlScalar, open } from './sys.ts';
import { O_RDWR } from './uapi/linux.ts';
import {
  AF_INET, AF_UNIX, F_DUPFD_CLOEXEC, F_GETFL, F_SETFL, IFF_NO_PI, IFF_TAP, IFF_UP, IFF_VNET_HDR, IFNAMSIZ, O_NONBLOCK, SIOCGIFADDR, SIOCGIFFLAGS, SIOCGIFNETMASK, SIOCSIFFLAGS, SO_TYPE, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET,
  TUNGETIFF, TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ, ifreq, sockaddr_in, sockaddr_un,
} from './uapi/net.ts';

const c = declareLazily<{
  socket(family: number, type: number, protocol: number): number;
  socketpair(family: number, type: number, protocol: number, pair: Int32Array): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Int32Array, length: Int32Array): number;
  getpeername(fd: number, address: Uint8Array, length: Int32Array): number;
  fcntl(fd: number, command: number, argument: number): number;
  readv(fd: number, iovec: number, count: number): number;
  writev(fd: number, iovec: number, count: number): number;
  read(fd: number, buffer: number, length: number): number;
  write(fd: number, buffer: number, length: number): number;
}>({
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, void *)',
  connect: 'int connect(int, const void *, unsigned int)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  getpeername: 'int getpeername(int, void *, void *)',
  fcntl: 'int fcntl(int, int, int)',
  readv: 'intptr_t readv(int, uintptr_t, int)',
  writev: 'intptr_t writev(int, uintptr_t, int)',
  read: 'intptr_t read(int, uintptr_t, size_t)',
  write: 'intptr_t write(int, uintptr_t, size_t)',
});

export function check(result: number, call: string, args: readonly unknown[]): number {
  if (result < 0) throw new HostCallError(call, args, lastErrno());
  return result;
}

/** A call that moves bytes: it is not in its caller's way when a signal comes. */
function moved(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const errno = lastErrno();
    if (errno !== EINTR) return -errno;
  }
}

/** `iovec`: the address of an array of struct iovec that the caller filled from checked ranges. */
export function readvTry(fd: number, iovec: number, count: number): number {
  return moved(() => c.readv(fd, iovec, count));
}

export function writevTry(fd: number, iovec: number, count: number): number {
  return moved(() => c.writev(fd, iovec, count));
}

/** `address`: of `length` bytes of the host's own. */
export function readTry(fd: number, address: number, length: number): number {
  return moved(() => c.read(fd, address, length));
}

export function writeTry(fd: number, address: number, length: number): number {
  return moved(() => c.write(fd, address, length));
}

/** Another descriptor of the same open file. */
export function duplicate(fd: number): number {
  return check(c.fcntl(fd, F_DUPFD_CLOEXEC, 0), 'fcntl', [fd, 'F_DUPFD_CLOEXEC']);
}

export function setNonBlocking(fd: number): void {
  const flags = check(c.fcntl(fd, F_GETFL, 0), 'fcntl', [fd, 'F_GETFL']);
  check(c.fcntl(fd, F_SETFL, flags | O_NONBLOCK), 'fcntl', [fd, 'F_SETFL']);
}

// ---- sockets ---------------------------------------------------------------------------------------------------

/** A stream, or a socket of another type, to the one at `path`, which must fit a sockaddr_un; a leading @: an abstract name. */
export function connectUnix(path: string, type = SOCK_STREAM): number {
  const address = Buffer.alloc(sockaddr_un.sizeof);
  address.writeUInt16LE(AF_UNIX, sockaddr_un.sun_family);
  address.write(path, sockaddr_un.sun_path);
  const fd = check(c.socket(AF_UNIX, type | SOCK_CLOEXEC, 0), 'socket', ['AF_UNIX']);
  // The length is the abstract name's end; another one ends with its zero byte.
  const length = path.startsWith('@') ? sockaddr_un.sun_path + Buffer.byteLength(path) : address.length;
  if (path.startsWith('@')) address[sockaddr_un.sun_path] = 0;
  if (c.connect(fd, address, length) >= 0) return fd;
  const error = new HostCallError('connect', [path], lastErrno());
  close(fd);
  throw error;
}

/** Two connected sockets: of streams, or of another type. */
export function socketPair(type = SOCK_STREAM): [number, number] {
  const pair = new Int32Array(2);
  check(c.socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 'socketpair', []);
  return [pair[0] as number, pair[1] as number];
}

/** Has it somebody at its other end? */
export function isConnected(socket: number): boolean {
  const address = new Uint8Array(128); // struct sockaddr_storage
  return c.getpeername(socket, address, new Int32Array([address.length])) >= 0;
}

/** SOCK_* of a socket; undefined for another descriptor. */
export function socketType(fd: number): number | undefined {
  const value = new Int32Array(1);
  return c.getsockopt(fd, SOL_SOCKET, SO_TYPE, value, new Int32Array([4])) < 0 ? undefined : value[0];
}

// ---- taps --------------------------------------------------------------------------------------------------------

export function interfaceRequest(name: string, flags = 0): Buffer {
  const request = Buffer.alloc(ifreq.sizeof);
  request.write(name, ifreq.ifr_name, IFNAMSIZ - 1, 'latin1');
  request.writeUInt16LE(flags, ifreq.ifr_flags);
  return request;
}

/** Attaches to the tap `name`, which is made when there is none; its frames have a virtio_net_hdr of `hdrSize` bytes. */
export function openTap(name: string, hdrSize: number): number {
  const fd = open('/dev/net/tun', O_RDWR | O_NONBLOCK);
  try {
    ioctl(fd, TUNSETIFF, interfaceRequest(name, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), 'TUNSETIFF');
    setTapHeader(fd, hdrSize);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Flags (IFF_*) of a descriptor that is a tap's; undefined for another one. */
export function tapFlags(fd: number): number | undefined {
  const request = interfaceRequest('');
  try {
    ioctl(fd, TUNGETIFF, request, 'TUNGETIFF');
    return request.readUInt16LE(ifreq.ifr_flags);
  } catch {
    return undefined;
  }
}

export function setTapHeader(fd: number, hdrSize: number): void {
  ioctl(fd, TUNSETVNETHDRSZ, new Int32Array([hdrSize]), 'TUNSETVNETHDRSZ');
}

/** What frames from the tap may leave to their reader: TUN_F_*. False: this kernel does not know all of them. */
export function setTapOffloads(fd: number, offloads: number): boolean {
  try {
    ioctlScalar(fd, TUNSETOFFLOAD, offloads, 'TUNSETOFFLOAD');
    return true;
  } catch (error) {
    if (error instanceof HostCallError) return false;
    throw error;
  }
}

/** IFF_* of the interface `name`; undefined when there is none. */
export function interfaceFlags(name: string): number | undefined {
  return withSocket((socket) => {
    const request = interfaceRequest(name);
    try {
      ioctl(socket, SIOCGIFFLAGS, request, 'SIOCGIFFLAGS');
    } catch (error) {
      if (error instanceof HostCallError && error.errno === ENODEV) return undefined;
      throw error;
    }
    return request.readUInt16LE(ifreq.ifr_flags);
  });
}

/** The IPv4 address of the interface `name` and its mask; undefined when it has none. */
export function interfaceAddress(name: string): { readonly address: Uint8Array; readonly mask: Uint8Array } | undefined {
  return withSocket((socket) => {
    const ask = (call: number, what: string): Uint8Array => {
      const request = interfaceRequest(name);
      ioctl(socket, call, request, what);
      const at = ifreq.ifr_addr + sockaddr_in.sin_addr;
      return Uint8Array.from(request.subarray(at, at + 4));
    };
    try {
      return { address: ask(SIOCGIFADDR, 'SIOCGIFADDR'), mask: ask(SIOCGIFNETMASK, 'SIOCGIFNETMASK') };
    } catch (error) {
      if (error instanceof HostCallError) return undefined;
      throw error;
    }
  });
}

/** Switches the interface on. */
export function interfaceUp(name: string): void {
  const flags = interfaceFlags(name) ?? 0;
  withSocket((socket) => ioctl(socket, SIOCSIFFLAGS, interfaceRequest(name, flags | IFF_UP), 'SIOCSIFFLAGS'));
}

/** A socket that any ioctl on interfaces may be asked of. */
export function withSocket<T>(work: (socket: number) => T): T {
  const socket = check(c.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket', ['AF_INET']);
  try {
    return work(socket);
  } finally {
    close(socket);
  }
}
