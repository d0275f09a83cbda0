/** Open files that go from one process of a user's to another: SCM_RIGHTS of unix(7), a datagram with its token each. */
import { rmSync } from 'node:fs';
import { EAGAIN, ECONNREFUSED, EINTR, ENAMETOOLONG } from '../../assembly/contract/generated/errno.ts';
import { HostCallError } from './errno.ts';
import { addressOf, declareLazily, lastErrno } from './ffi.ts';
import { close, open } from './sys.ts';
import { iovec, O_PATH } from './uapi/linux.ts';
import { AF_UNIX, cmsghdr, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, msghdr, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_DGRAM, SOL_SOCKET, sockaddr_un } from './uapi/net.ts';

const c = declareLazily<{
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: bigint, length: number): number;
  sendmsg(fd: number, message: bigint, flags: number): number;
  recvmsg(fd: number, message: bigint, flags: number): number;
}>({
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, uintptr_t, unsigned int)',
  sendmsg: 'intptr_t sendmsg(int, uintptr_t, int)',
  recvmsg: 'intptr_t recvmsg(int, uintptr_t, int)',
});

/** Bytes of a token, and the most descriptors that come with one. */
export const TOKEN_BYTES = 16;
const FDS_MAX = 4;
/** Lots that nobody has asked for are given up when there are more, or when they have been there for this to twice this long. */
const LOTS_MAX = 16;
export const LOT_MS = 10_000;

/** One message in memory that does not move: its header, its one piece, a name, the token, the descriptors. */
class Message {
  static readonly #AT = { iovec: 64, name: 128, token: 256, control: 512 } as const;
  readonly #bytes = new Uint8Array(new SharedArrayBuffer(1024));
  readonly #view = new DataView(this.#bytes.buffer);
  readonly address = addressOf(this.#bytes);

  constructor() {
    const { iovec: piece, token, control } = Message.#AT;
    this.#put(msghdr.msg_iov, piece);
    this.#view.setBigUint64(msghdr.msg_iovlen, 1n, true);
    this.#put(msghdr.msg_control, control);
    this.#put(piece + iovec.iov_base, token);
    this.#view.setBigUint64(piece + iovec.iov_len, BigInt(TOKEN_BYTES), true);
  }

  #put(at: number, to: number): void {
    this.#view.setBigUint64(at, this.address + BigInt(to), true);
  }

  /** Address and length of a socket's name, which fits. */
  name(path: string): readonly [bigint, number] {
    const { name } = Message.#AT;
    const length = sockaddr_un.sun_path + Buffer.from(this.#bytes.buffer, name + sockaddr_un.sun_path).write(path) + 1;
    if (length > sockaddr_un.sizeof) throw new HostCallError('bind', [path], ENAMETOOLONG);
    this.#view.setUint16(name, AF_UNIX, true);
    return [this.address + BigInt(name), length];
  }

  to(path: string): void {
    const [, length] = this.name(path);
    this.#put(msghdr.msg_name, Message.#AT.name);
    this.#view.setUint32(msghdr.msg_namelen, length, true);
  }

  fill(token: Uint8Array, fds: readonly number[]): void {
    const { control } = Message.#AT;
    this.#bytes.set(token, Message.#AT.token);
    const length = cmsghdr.sizeof + 4 * fds.length;
    this.#view.setBigUint64(control + cmsghdr.cmsg_len, BigInt(length), true);
    this.#view.setInt32(control + cmsghdr.cmsg_level, SOL_SOCKET, true);
    this.#view.setInt32(control + cmsghdr.cmsg_type, SCM_RIGHTS, true);
    fds.forEach((fd, i) => this.#view.setInt32(control + cmsghdr.sizeof + 4 * i, fd, true));
    this.#view.setBigUint64(msghdr.msg_controllen, BigInt((length + 7) & ~7), true);
  }

  /** Of no bytes, and without descriptors. */
  empty(): void {
    this.#view.setBigUint64(msghdr.msg_iovlen, 0n, true);
    this.#view.setBigUint64(msghdr.msg_controllen, 0n, true);
  }

  /** Room for an answer. */
  clear(): void {
    this.#view.setBigUint64(msghdr.msg_controllen, BigInt(cmsghdr.sizeof + 4 * FDS_MAX), true);
  }

  get token(): string {
    return Buffer.from(this.#bytes.slice(Message.#AT.token, Message.#AT.token + TOKEN_BYTES)).toString('hex');
  }

  /** What has come; the kernel closes what has no room. */
  get fds(): number[] {
    const { control } = Message.#AT;
    const length = Number(this.#view.getBigUint64(msghdr.msg_controllen, true));
    if (length < cmsghdr.sizeof || this.#view.getInt32(control + cmsghdr.cmsg_type, true) !== SCM_RIGHTS) return [];
    const count = Math.floor((Number(this.#view.getBigUint64(control + cmsghdr.cmsg_len, true)) - cmsghdr.sizeof) / 4);
    return Array.from({ length: Math.min(count, FDS_MAX) }, (_, i) => this.#view.getInt32(control + cmsghdr.sizeof + 4 * i, true));
  }
}

function socket(): number {
  const fd = c.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new HostCallError('socket', ['AF_UNIX'], lastErrno());
  return fd;
}

/** A socket that is bound to `path`, by its name `short`: what somebody has left there goes, what somebody listens on stays. Throws HostCallError. */
function bound(path: string, short: string): number {
  const message = new Message();
  message.to(short);
  message.empty();
  const fd = socket();
  try {
    // Whoever listens takes nothing of no bytes for a message; a file that is no socket refuses as well.
    if (c.sendmsg(fd, message.address, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && lastErrno() === ECONNREFUSED) rmSync(path, { force: true });
    const [name, length] = message.name(short);
    if (c.bind(fd, name, length) < 0) throw new HostCallError('bind', [path], lastErrno());
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** A descriptor that names a file, whatever it is, and can do nothing else. Throws HostCallError. */
export function openName(path: string): number {
  return open(path, O_PATH);
}

/** Gives copies of open descriptors, at most four, to who listens at `path`. Throws HostCallError, FFI_MISSING. */
export function sendDescriptors(path: string, token: Uint8Array, fds: readonly number[]): void {
  const fd = socket();
  try {
    const message = new Message();
    message.to(path);
    message.fill(token, fds);
    while (c.sendmsg(fd, message.address, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      const errno = lastErrno();
      if (errno !== EINTR) throw new HostCallError('sendmsg', [path], errno);
    }
  } finally {
    close(fd);
  }
}

/** Where descriptors come. It is never waited for: they are sent before they are asked for. */
export class DescriptorInbox {
  readonly #path: string;
  readonly #fd: number;
  readonly #message = new Message();
  readonly #lots = new Map<string, { readonly at: number; readonly fds: readonly number[] }>();
  /** Who gave them may have died before it asked: they would hold their files, and the socket's room. */
  readonly #timer: NodeJS.Timeout;

  /** Makes the socket `path`, whose folder only its user may enter; `short`: the same, as short as a socket's name must be. Throws HostCallError, FFI_MISSING. */
  constructor(path: string, short = path) {
    this.#path = path;
    this.#fd = bound(path, short);
    this.#timer = setInterval(() => this.#sweep(), LOT_MS);
    this.#timer.unref();
  }

  /** The descriptors that came with a token (in hexadecimal digits), this process's from now on; undefined: none have. */
  take(token: string): readonly number[] | undefined {
    this.#read();
    const lot = this.#lots.get(token);
    this.#lots.delete(token);
    this.#expire();
    return lot?.fds;
  }

  #expire(): void {
    for (const [name, { at }] of this.#lots) if (this.#lots.size > LOTS_MAX || performance.now() - at >= LOT_MS) this.#drop(name);
  }

  #sweep(): void {
    this.#expire();
    try {
      this.#read();
    } catch {
      // Who asks next is told.
    }
  }

  #read(): void {
    for (let more = LOTS_MAX; more > 0; more--) {
      this.#message.clear();
      const got = c.recvmsg(this.#fd, this.#message.address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
      const errno = got < 0 ? lastErrno() : 0;
      if (errno === EAGAIN) return;
      if (errno === EINTR) continue;
      if (errno !== 0) throw new HostCallError('recvmsg', [this.#path], errno);
      const { token, fds } = this.#message;
      if (got === TOKEN_BYTES) this.#drop(token);
      if (got === TOKEN_BYTES) this.#lots.set(token, { at: performance.now(), fds });
      else for (const fd of fds) close(fd);
    }
  }

  #drop(token: string): void {
    for (const fd of this.#lots.get(token)?.fds ?? []) close(fd);
    this.#lots.delete(token);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const token of [...this.#lots.keys()]) this.#drop(token);
    close(this.#fd);
    rmSync(this.#path, { force: true });
  }
}
