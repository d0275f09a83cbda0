/**
 * System calls. Each checks its result and throws a HostCallError with call, arguments and errno name; those that callers
 * want to try say so. Addresses are bigint; buffers are views, which may lie in a shared linear memory.
 */
import { EAGAIN, EINTR, EINVAL, ENODATA, ENXIO, EOPNOTSUPP, ERANGE } from '../../assembly/contract/generated/errno.ts';
import { declareLazily, lastErrno } from './ffi.ts';
import { HostCallError } from './errno.ts';
import {
  EFD_CLOEXEC, EFD_NONBLOCK, EPOLL_CLOEXEC, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MFD_CLOEXEC, O_CLOEXEC, PROT_READ, PROT_WRITE, RWF_NOWAIT, SA_RESTART,
  SEEK_DATA, SEEK_END, SEEK_HOLE, SYS_gettid, SYS_preadv2, SYS_tgkill, epoll_event,
} from './uapi/linux.ts';

type Buffer = NodeJS.ArrayBufferView | null;

const c = declareLazily<{
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  ioctl(fd: number, request: number, argument: Buffer): number;
  ioctlScalar(fd: number, request: number, argument: bigint | number): number;
  mmap(address: bigint, length: number, prot: number, flags: number, fd: number, offset: number): bigint;
  munmap(address: bigint, length: number): number;
  madvise(address: bigint, length: number, advice: number): number;
  eventfd(initial: number, flags: number): number;
  memfd_create(name: string, flags: number): number;
  ftruncate(fd: number, length: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epfd: number, op: number, fd: number, event: Buffer): number;
  epoll_wait(epfd: number, events: Buffer, max: number, timeout: number): number;
  read(fd: number, buffer: Buffer, length: number): number;
  write(fd: number, buffer: Buffer, length: number): number;
  pread(fd: number, buffer: bigint, length: number, offset: number): number;
  pwrite(fd: number, buffer: bigint, length: number, offset: number): number;
  pwritevAt(fd: number, iovec: number, count: number, offset: number): number;
  preadvAt(number: number, fd: number, iovec: number, count: number, offset: number, high: number, flags: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  lseek(fd: number, offset: number, whence: number): number;
  flock(fd: number, operation: number): number;
  dup3(from: number, to: number, flags: number): number;
  kill(pid: number, signal: number): number;
  sigaction(signal: number, action: Buffer, old: Buffer): number;
  malloc_trim(pad: number): number;
  _exit(status: number): void;
  syscall1(number: number, a: number, b: number, c: number): number;
  syscallRing(number: number, a: number, b: number, c: number, d: number, e: Buffer, f: number): number;
  syscallSetup(number: number, entries: number, params: Buffer): number;
  dlsym(handle: bigint, name: string): bigint;
  llistxattr(path: Buffer, list: Buffer, size: number): number;
  lgetxattr(path: Buffer, name: Buffer, value: Buffer, size: number): number;
  lsetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array | null, size: number, flags: number): number;
  mknod(path: Uint8Array, mode: number, device: bigint): number;
}>({
  open: 'int open(const char *, int, int)',
  close: 'int close(int)',
  ioctl: 'int ioctl(int, unsigned long, void *)',
  ioctlScalar: 'int ioctl(int, unsigned long, uintptr_t)',
  mmap: 'uintptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)',
  munmap: 'int munmap(uintptr_t, size_t)',
  madvise: 'int madvise(uintptr_t, size_t, int)',
  eventfd: 'int eventfd(unsigned int, int)',
  memfd_create: 'int memfd_create(const char *, unsigned int)',
  ftruncate: 'int ftruncate(int, int64_t)',
  epoll_create1: 'int epoll_create1(int)',
  epoll_ctl: 'int epoll_ctl(int, int, int, void *)',
  epoll_wait: 'int epoll_wait(int, void *, int, int)',
  read: 'intptr_t read(int, void *, size_t)',
  write: 'intptr_t write(int, void *, size_t)',
  pread: 'intptr_t pread(int, uintptr_t, size_t, int64_t)',
  pwrite: 'intptr_t pwrite(int, uintptr_t, size_t, int64_t)',
  pwritevAt: 'intptr_t pwritev(int, uintptr_t, int, int64_t)',
  preadvAt: 'long syscall(long, long, uintptr_t, long, int64_t, long, long)',
  fallocate: 'int fallocate(int, int, int64_t, int64_t)',
  lseek: 'int64_t lseek(int, int64_t, int)',
  flock: 'int flock(int, int)',
  dup3: 'int dup3(int, int, int)',
  kill: 'int kill(int, int)',
  sigaction: 'int sigaction(int, void *, void *)',
  malloc_trim: 'int malloc_trim(size_t)',
  _exit: 'void _exit(int)',
  syscall1: 'long syscall(long, long, long, long)',
  syscallRing: 'long syscall(long, long, long, long, long, void *, long)',
  syscallSetup: 'long syscall(long, long, void *)',
  dlsym: 'uintptr_t dlsym(uintptr_t, const char *)',
  llistxattr: 'intptr_t llistxattr(const void *, void *, size_t)',
  lgetxattr: 'intptr_t lgetxattr(const void *, const void *, void *, size_t)',
  lsetxattr: 'int lsetxattr(const void *, const void *, const void *, size_t, int)',
  mknod: 'int mknod(const void *, unsigned int, uint64_t)',
});

function failed(call: string, args: readonly unknown[]): HostCallError {
  return new HostCallError(call, args, lastErrno());
}

function check(result: number, call: string, args: readonly unknown[]): number {
  if (result < 0) throw failed(call, args);
  return result;
}

// ---- descriptors ----------------------------------------------------------------------------------------------

/** `flags`: O_*; O_CLOEXEC is added. */
export function open(path: string, flags: number, mode = 0o644): number {
  return check(c.open(path, flags | 0x80000, mode), 'open', [path, flags]);
}

export function close(fd: number): void {
  check(c.close(fd), 'close', [fd]);
}

/** An ioctl whose argument is a structure; `name` is for the error's text. */
export function ioctl(fd: number, request: number, argument: Buffer, name: string): number {
  const result = c.ioctl(fd, request, argument);
  if (result < 0) throw failed(name, [fd]);
  return result;
}

/** An ioctl whose argument is a number. */
export function ioctlScalar(fd: number, request: number, argument: bigint | number, name: string): number {
  const result = c.ioctlScalar(fd, request, argument);
  if (result < 0) throw failed(name, [fd, argument]);
  return result;
}

/** As `ioctlScalar`, but failure is the result -errno. The hot path of KVM_RUN. */
export function ioctlTry(fd: number, request: number, argument: number): number {
  const result = c.ioctlScalar(fd, request, argument);
  return result < 0 ? -lastErrno() : result;
}

export function eventfd(initial = 0): number {
  return check(c.eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK), 'eventfd', [initial]);
}

const one = new BigUint64Array([1n]);
const counter = new BigUint64Array(1);

/** Adds 1 to an eventfd's counter. */
export function eventfdSignal(fd: number): void {
  if (c.write(fd, one, 8) < 0 && lastErrno() !== EAGAIN) throw failed('write', [fd, one]);
}

/** Takes an eventfd's counter to 0; false when it was 0. */
export function eventfdDrain(fd: number): boolean {
  if (c.read(fd, counter, 8) === 8) return true;
  if (lastErrno() !== EAGAIN) throw failed('read', [fd]);
  return false;
}

/** For tests: anonymous memory with a descriptor. */
export function memfdCreate(name: string, size: number, flags = 0): number {
  const fd = check(c.memfd_create(name, MFD_CLOEXEC | flags), 'memfd_create', [name, flags]);
  check(c.ftruncate(fd, size), 'ftruncate', [fd, size]);
  return fd;
}

/** False when another process holds it and LOCK_NB was given. */
export function flock(fd: number, operation: number): boolean {
  for (;;) {
    if (c.flock(fd, operation) === 0) return true;
    const errno = lastErrno();
    if (errno === EAGAIN) return false;
    if (errno !== EINTR) throw failed('flock', [fd, operation]);
  }
}

/** Descriptor `to` is from now on what `from` is, at once: calls that are on with it end with what it was. */
export function replaceFile(from: number, to: number): void {
  if (c.dup3(from, to, O_CLOEXEC) < 0) throw failed('dup3', [from, to]);
}

// ---- memory ---------------------------------------------------------------------------------------------------

/** Maps; `address` 0n lets the kernel choose. */
export function mmap(address: bigint, length: number, prot: number, flags: number, fd: number, offset: number): bigint {
  const result = c.mmap(address, length, prot, flags, fd, offset);
  if (BigInt(result) === 0xffff_ffff_ffff_ffffn) throw failed('mmap', [address, length, prot, flags, fd, offset]);
  return BigInt(result);
}

/** Replaces `length` bytes at `address` by fresh zero pages that nobody else maps. */
export function mmapAnonymousFixed(address: bigint, length: number): void {
  mmap(address, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

export function munmap(address: bigint, length: number): void {
  check(c.munmap(address, length), 'munmap', [address, length]);
}

export function madvise(address: bigint, length: number, advice: number): void {
  check(c.madvise(address, length, advice), 'madvise', [address, length, advice]);
}

// ---- waiting --------------------------------------------------------------------------------------------------

export function epollCreate(): number {
  return check(c.epoll_create1(EPOLL_CLOEXEC), 'epoll_create1', []);
}

/** `op`: EPOLL_CTL_*, `events`: EPOLL*; `data` comes back from `epollWait`. */
export function epollCtl(epfd: number, op: number, fd: number, events: number, data: number): void {
  const event = new DataView(new ArrayBuffer(epoll_event.sizeof));
  event.setUint32(epoll_event.events, events, true);
  event.setUint32(epoll_event.data, data, true);
  check(c.epoll_ctl(epfd, op, fd, event), 'epoll_ctl', [epfd, op, fd]);
}

const EPOLL_BATCH = 64;
const epollEvents = new DataView(new ArrayBuffer(EPOLL_BATCH * epoll_event.sizeof));

/** Waits at most `timeoutMs` (-1: for ever) and calls `ready(data, events)` for each; a signal ends the wait early. Returns their number. */
export function epollWait(epfd: number, timeoutMs: number, ready: (data: number, events: number) => void): number {
  const n = c.epoll_wait(epfd, epollEvents, EPOLL_BATCH, timeoutMs);
  if (n < 0) {
    if (lastErrno() === EINTR) return 0;
    throw failed('epoll_wait', [epfd, timeoutMs]);
  }
  for (let i = 0; i < n; i++) {
    const at = i * epoll_event.sizeof;
    ready(epollEvents.getUint32(at + epoll_event.data, true), epollEvents.getUint32(at + epoll_event.events, true));
  }
  return n;
}

// ---- files ----------------------------------------------------------------------------------------------------

/** Reads into host memory at `address`, which the caller has range-checked. Bytes read, or -errno. */
export function preadTry(fd: number, address: bigint, length: number, offset: number): number {
  return retry(() => c.pread(fd, address, length, offset));
}

/** For tests: writes from host memory at `address`. */
export function pwriteTry(fd: number, address: bigint, length: number, offset: number): number {
  return retry(() => c.pwrite(fd, address, length, offset));
}

/** `iovec`: the address of an array of struct iovec that the caller filled from checked ranges. Bytes moved, or -errno. For the hot path. */
export function pwritevAtTry(fd: number, iovec: number, count: number, offset: number): number {
  const result = c.pwritevAt(fd, iovec, count, offset);
  return result < 0 ? -lastErrno() : result;
}

/** preadv2 with the address of the array: what the page cache has (RWF_NOWAIT), -EAGAIN when that is nothing. For the hot path. */
export function preadvCachedTry(fd: number, iovec: number, count: number, offset: number): number {
  const result = c.preadvAt(SYS_preadv2, fd, iovec, count, offset, 0, RWF_NOWAIT);
  return result < 0 ? -lastErrno() : result;
}

/** 0 or -errno; `mode`: FALLOC_FL_*. */
export function fallocateTry(fd: number, mode: number, offset: number, length: number): number {
  return retry(() => c.fallocate(fd, mode, offset, length));
}

function retry(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const errno = lastErrno();
    if (errno !== EINTR) return -errno;
  }
}

/** Where a file, or a block device, ends. */
export function seekEnd(fd: number): number {
  const end = c.lseek(fd, 0, SEEK_END);
  if (end < 0) throw failed('lseek', [fd, 0, 'SEEK_END']);
  return Number(end);
}

/** The pieces of a file that hold data, as [start, end) pairs in order; holes are left out. One piece where the file system cannot say. */
export function dataRanges(fd: number, size: number): [number, number][] {
  const ranges: [number, number][] = [];
  for (let at = 0; at < size; ) {
    const start = c.lseek(fd, at, SEEK_DATA);
    if (start < 0) {
      if (lastErrno() === ENXIO) break;
      return [[0, size]];
    }
    const end = c.lseek(fd, start, SEEK_HOLE);
    if (end < 0) throw failed('lseek', [fd, start, 'SEEK_HOLE']);
    ranges.push([start, Math.min(end, size)]);
    at = end;
  }
  return ranges;
}

/**
 * Extended attributes of a path itself, not of a link's target; the path as text or as its bytes. Names are byte strings
 * (a character a byte). Empty where the file system has none.
 */
export function readXattrs(path: string | Uint8Array): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const bytes = cString(path);
  const shown = typeof path === 'string' ? path : Buffer.from(path).toString();
  const list = sized((buffer) => c.llistxattr(bytes, buffer, buffer?.byteLength ?? 0), 'llistxattr', shown);
  for (const name of Buffer.from(list ?? []).toString('latin1').split('\0')) {
    if (name === '') continue;
    const nameBytes = cString(Buffer.from(name, 'latin1'));
    const value = sized((buffer) => c.lgetxattr(bytes, nameBytes, buffer, buffer?.byteLength ?? 0), 'lgetxattr', shown);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** A C string; a path with a NUL byte in it would name another file. */
function cString(text: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(text as Uint8Array);
  if (bytes.includes(0)) throw new HostCallError('a path or name with a NUL byte', [], EINVAL);
  return Buffer.concat([bytes, Buffer.alloc(1)]);
}

/** Asks for a size, then for that much; asks again when it grew in between. undefined: there is none. */
function sized(call: (buffer: Uint8Array | null) => number, name: string, path: string): Uint8Array | undefined {
  for (;;) {
    const size = call(null);
    if (size < 0) {
      const errno = lastErrno();
      if (errno === ENODATA || errno === EOPNOTSUPP) return undefined;
      throw failed(name, [path]);
    }
    if (size === 0) return new Uint8Array(0);
    const buffer = new Uint8Array(size);
    const got = call(buffer);
    if (got >= 0) return buffer.subarray(0, got);
    if (lastErrno() !== ERANGE) throw failed(name, [path]);
  }
}

/** Writes what `readXattrs` reads; a symbolic link is not followed, `name` is a byte string. False where the file system has none, or none of this kind. */
export function setXattr(path: string | Uint8Array, name: string, value: Uint8Array): boolean {
  if (c.lsetxattr(cString(path), cString(Buffer.from(name, 'latin1')), value.length > 0 ? value : null, value.length, 0) === 0) return true;
  if (lastErrno() === EOPNOTSUPP) return false;
  throw failed('lsetxattr', [typeof path === 'string' ? path : Buffer.from(path).toString(), name]);
}

/** Makes a device's node or a FIFO: `mode` has the type in it. */
export function makeNode(path: Uint8Array, mode: number, major: number, minor: number): void {
  const [a, b] = [BigInt(major), BigInt(minor)];
  // <sys/sysmacros.h>, gnu_dev_makedev
  const device = ((a & 0xfffn) << 8n) | ((a & ~0xfffn) << 32n) | (b & 0xffn) | ((b & ~0xffn) << 12n);
  check(c.mknod(cString(path), mode, device), 'mknod', [Buffer.from(path).toString(), mode]);
}

// ---- signals and threads ----------------------------------------------------------------------------------------

/** glibc's SIGRTMIN: the first two real-time signals are its own. musl keeps three. */
export const SIGRTMIN = 34;

/**
 * Gives `signal` a handler that does nothing: a libc function that takes no notice of its arguments. It may come at any time, in
 * whatever a thread is doing: SA_RESTART lets system calls go on, all but those that never do, KVM_RUN among them, which returns EINTR.
 * Without `restart` all that can be interrupted return EINTR.
 */
export function handleWithNothing(signal: number, restart = true): void {
  const handler = c.dlsym(0n, 'getppid');
  if (BigInt(handler) === 0n) throw new HostCallError('dlsym', ['getppid'], 2);
  // struct sigaction of glibc on x86-64: handler, 128-byte mask, flags at 136, restorer
  const action = new DataView(new ArrayBuffer(152));
  action.setBigUint64(0, BigInt(handler), true);
  action.setInt32(136, restart ? SA_RESTART : 0, true);
  check(c.sigaction(signal, action, null), 'sigaction', [signal]);
}

export function gettid(): number {
  return c.syscall1(SYS_gettid, 0, 0, 0);
}

/** False when the thread is gone. */
export function tgkill(tid: number, signal: number): boolean {
  return c.syscall1(SYS_tgkill, process.pid, tid, signal) === 0;
}

export function kill(pid: number, signal: number): void {
  check(c.kill(pid, signal), 'kill', [pid, signal]);
}

/** glibc gives free memory of its heaps back to the system; other C libraries have no such function, and nothing happens. */
export function mallocTrim(): void {
  if (BigInt(c.dlsym(0n, 'malloc_trim')) !== 0n) c.malloc_trim(0);
}

/**
 * Ends the process at once, without waiting for threads: `process.exit` would wait for a thread that is in a guest.
 * For fatal errors only, after the terminal is restored; output still in Node's buffers is lost.
 */
export function exitNow(status: number): never {
  c._exit(status);
  throw new Error('unreachable');
}

/** Raw calls of io_uring, which libc does not wrap: descriptor of the ring. `params`: struct io_uring_params, filled in. */
export function ioUringSetup(nr: number, entries: number, params: NodeJS.ArrayBufferView): number {
  return check(c.syscallSetup(nr, entries, params), 'io_uring_setup', [entries]);
}

/** Entries taken, or -errno (-EINTR included). */
export function ioUringEnter(nr: number, ring: number, submit: number, wait: number, flags: number): number {
  const result = c.syscallRing(nr, ring, submit, wait, flags, null, 0);
  return result < 0 ? -lastErrno() : result;
}
