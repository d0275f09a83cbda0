/**
 * One list of system calls, made by every thread of the process. Capabilities, no_new_privs and Landlock belong to threads,
 * and Node has threads (V8's, libuv's) that run no code of ours: like glibc for setuid (nptl/setxid), a signal has each of
 * them make the calls. Its handler is a few machine instructions, written here, since JavaScript cannot be a signal handler.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { VmmError } from '../../../base/errors.ts';
import { addressOf, ffi } from '../ffi.ts';
import { gettid, mmap, munmap, tgkill } from '../sys.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../uapi/linux.ts';
import { PROT_EXEC, SYS_rt_sigreturn } from '../uapi/lockdown.ts';
import { mprotect, rtSigaction } from './calls.ts';

/** A raw system call that gives 0 when it succeeds. Addresses are of memory that stays until all is done. */
export interface RawCall {
  readonly nr: number;
  readonly args: readonly (number | bigint)[];
}

/**
 * SIGCANCEL of glibc, which Node never uses and no thread can block by libc's functions (musl's SIGTIMER). Borrowed for the
 * time of the call.
 */
const SIGNAL = 32;
const PAGE = 4096;
/** How often the counter is looked at: the handlers wake nobody. */
const WAIT_MS = 0.1;
const SA_RESTORER = 0x0400_0000;
const SA_RESTART = 0x1000_0000;
const SA_ONSTACK = 0x0800_0000;

/** `mov r64, imm64` for the argument registers of a system call: rdi, rsi, rdx, r10, r8, r9. */
const MOV_ARGUMENT = [[0x48, 0xbf], [0x48, 0xbe], [0x48, 0xba], [0x49, 0xba], [0x49, 0xb8], [0x49, 0xb9]] as const;

const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
const u64 = (value: number | bigint): number[] => {
  const bits = BigInt.asUintN(64, BigInt(value));
  return [...u32(Number(bits & 0xffff_ffffn)), ...u32(Number(bits >> 32n))];
};

/** The handler's code, then its restorer's (offset `restorer`). The two counters at `counters` are u32: threads that are done, calls that failed. */
function handlerCode(calls: readonly RawCall[], counters: bigint): { code: Uint8Array; restorer: number } {
  const code: number[] = [];
  for (const { nr, args } of calls) {
    args.forEach((value, index) => code.push(...(MOV_ARGUMENT[index] as readonly number[]), ...u64(value)));
    code.push(0xb8, ...u32(nr)); //             mov eax, nr
    code.push(0x0f, 0x05); //                   syscall
    code.push(0x48, 0xb9, ...u64(counters + 4n)); // mov rcx, &failed
    code.push(0x48, 0x85, 0xc0, 0x74, 3); //    test rax, rax; jz over the next
    code.push(0xf0, 0xff, 0x01); //             lock inc dword [rcx]
  }
  code.push(0x48, 0xb9, ...u64(counters), 0xf0, 0xff, 0x01, 0xc3); // mov rcx, &done; lock inc dword [rcx]; ret
  const restorer = code.length;
  code.push(0xb8, ...u32(SYS_rt_sigreturn), 0x0f, 0x05);
  return { code: Uint8Array.from(code), restorer };
}

/** Threads of this process but the calling one. */
const otherThreads = (): number[] => readdirSync('/proc/self/task').map(Number).filter((tid) => tid !== gettid());

/** KVM and io_uring have threads of the kernel's in a process: they run no code of its, and no signal comes to them. */
function isKernels(tid: number): boolean {
  try {
    const blocked = /^SigBlk:\s*(\S+)/m.exec(readFileSync(`/proc/self/task/${tid}/status`, 'latin1'))?.[1] ?? '0';
    return (BigInt(`0x${blocked}`) & (1n << BigInt(SIGNAL - 1))) !== 0n;
  } catch {
    return false; // it has ended: to ask it finds out
  }
}

/** How long a thread may take to come to its signal. One that is stopped by a debugger never does. */
const LIMIT_MS = 2000;
/** So often a thread may end, or new ones start, while the others are asked. */
const ROUNDS_MAX = 16;

/**
 * Makes the calls in every thread, at least once in each; what they change, a thread that starts meanwhile inherits from the
 * one that starts it. Throws LOCKDOWN when a call failed or a thread did not come to make them.
 */
export function everyThread(calls: readonly RawCall[]): void {
  const counters = new Int32Array(new SharedArrayBuffer(8));
  const { code, restorer } = handlerCode(calls, addressOf(counters));
  if (code.length > PAGE) throw new RangeError('too many calls for a page');
  const page = mmap(0n, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  new Uint8Array(ffi().view(page as never, PAGE)).set(code);
  mprotect(page, PAGE, PROT_READ | PROT_EXEC);
  const action = new BigUint64Array([page, BigInt(SA_RESTORER | SA_RESTART | SA_ONSTACK), page + BigInt(restorer), 0n]);
  const before = new BigUint64Array(action.length);
  rtSigaction(SIGNAL, action, before);
  for (let round = 0; !askAll(counters); round++) {
    if (round === ROUNDS_MAX) throw new VmmError('LOCKDOWN', 'threads come and go too fast for the lock-down');
  }
  // Where a thread is late the handler and its page stay.
  rtSigaction(SIGNAL, before, undefined);
  munmap(page, PAGE);
  const failures = Atomics.load(counters, 1);
  if (failures !== 0) throw new VmmError('LOCKDOWN', `${failures} system calls of the lock-down failed`);
}

/** This thread first: whatever it starts from here on has inherited. False when a thread ended that may not have come to it, or may have. */
function askAll(counters: Int32Array): boolean {
  Atomics.store(counters, 0, 0);
  const asked = new Set<number>();
  const ask = (tid: number): boolean => {
    asked.add(tid);
    return tgkill(tid, SIGNAL);
  };
  ask(gettid());
  const kernels = new Set<number>();
  for (let fresh = otherThreads(); fresh.length > 0; fresh = otherThreads().filter((tid) => !asked.has(tid) && !kernels.has(tid))) {
    for (const tid of fresh) {
      if (isKernels(tid)) kernels.add(tid);
      else if (!ask(tid)) return false;
    }
  }
  const end = performance.now() + LIMIT_MS;
  while (Atomics.load(counters, 0) < asked.size) {
    const living = new Set(otherThreads());
    const here = gettid();
    for (const tid of asked) if (tid !== here && !living.has(tid)) return false;
    if (performance.now() > end) throw new VmmError('LOCKDOWN', `${asked.size - Atomics.load(counters, 0)} threads do not come to the lock-down`);
    Atomics.wait(counters, 0, Atomics.load(counters, 0), WAIT_MS);
  }
  return true;
}
