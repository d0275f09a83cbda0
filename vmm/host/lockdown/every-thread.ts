/**
 * One list of system calls, made by every thread of the process. Capabilities, no_new_privs and Landlock belong to threads,
 * and Node has threads (V8's, libuv's) that run no code of ours: like glibc for setuid (nptl/setxid), a signal has each of
 * them make the calls. Its handler is a few machine instructions, written here, since JavaScript cannot be a signal handler.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { VmmError } from '../../../base/errors.ts';
import { monotonicMs } from '../../../base/monotonic.ts';
import { addressOf, ffi } from '../ffi.ts';
import { mmap, munmap, tgkill } from '../sys.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, SYS_gettid } from '../uapi/linux.ts';
import { PROT_EXEC, SYS_rt_sigreturn } from '../uapi/lockdown.ts';
import { mprotect, type RawCall, rtSigaction } from './calls.ts';

/**
 * SIGCANCEL of glibc, which Node never uses and no thread can block by libc's functions (musl's SIGTIMER). Borrowed for the
 * time of the call.
 */
const SIGNAL = 32;
const PAGE = 4096;
/** How often the notes are looked at: the handlers wake nobody. */
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

/** Threads that the handler can note. More than that, and the lock-down is refused. */
const NOTED_MAX = 4096;
/** Words of the handler's notes: how many threads came, calls that failed, then the threads' ids. */
const CAME = 0;
const FAILED = 1;
const NOTED = 2;
/** Notes are never freed: a thread that comes too late for us still writes there. */
const kept: Int32Array[] = [];

/** The handler's code, then its restorer's (offset `restorer`). It makes the calls, then notes its thread at `notes`. */
function handlerCode(calls: readonly RawCall[], notes: bigint): { code: Uint8Array; restorer: number } {
  const code: number[] = [];
  for (const { nr, args } of calls) {
    args.forEach((value, index) => code.push(...(MOV_ARGUMENT[index] as readonly number[]), ...u64(value)));
    code.push(0xb8, ...u32(nr)); //             mov eax, nr
    code.push(0x0f, 0x05); //                   syscall
    code.push(0x48, 0xb9, ...u64(notes + 4n * BigInt(FAILED))); // mov rcx, &failed
    code.push(0x48, 0x85, 0xc0, 0x74, 3); //    test rax, rax; jz over the next
    code.push(0xf0, 0xff, 0x01); //             lock inc dword [rcx]
  }
  code.push(0xb8, ...u32(SYS_gettid), 0x0f, 0x05); // mov eax, SYS_gettid; syscall
  code.push(0xb9, ...u32(1)); //                mov ecx, 1
  code.push(0x48, 0xba, ...u64(notes)); //      mov rdx, &came
  code.push(0xf0, 0x0f, 0xc1, 0x0a); //         lock xadd [rdx], ecx
  code.push(0x81, 0xf9, ...u32(NOTED_MAX)); //  cmp ecx, NOTED_MAX
  code.push(0x73, 4); //                        jae over the next
  code.push(0x89, 0x44, 0x8a, 4 * NOTED); //    mov [rdx + 4 * rcx + 8], eax
  code.push(0xc3); //                           ret
  const restorer = code.length;
  code.push(0xb8, ...u32(SYS_rt_sigreturn), 0x0f, 0x05);
  return { code: Uint8Array.from(code), restorer };
}

const threads = (): number[] => readdirSync('/proc/self/task').map(Number);

/** include/linux/sched.h of Linux: PF_IO_WORKER, PF_USER_WORKER. */
const PF_KERNELS_OWN = 0x10 | 0x4000;

/**
 * KVM and io_uring have threads of the kernel's in a process: they run no code of its, and no signal comes to them. proc(5), stat,
 * field 9. What they block tells nothing: a thread that starts blocks all signals for a moment, too.
 */
function isKernels(tid: number): boolean {
  try {
    const stat = readFileSync(`/proc/self/task/${tid}/stat`, 'latin1');
    return (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]) & PF_KERNELS_OWN) !== 0;
  } catch {
    return false; // it has ended: to ask it finds out
  }
}

/** How long a thread may take to come to its signal. One that is stopped by a debugger never does. */
const LIMIT_MS = 2000;

/**
 * Makes the calls in every thread, `but` in those with these ids; what they change, a thread that starts meanwhile inherits from the one that starts it. Throws
 * LOCKDOWN when a call failed or a thread did not come to make them.
 */
export function everyThread(calls: readonly RawCall[], but: readonly number[] = []): void {
  const notes = new Int32Array(new SharedArrayBuffer(4 * (NOTED + NOTED_MAX)));
  kept.push(notes);
  const { code, restorer } = handlerCode(calls, addressOf(notes));
  if (code.length > PAGE) throw new RangeError('too many calls for a page');
  const page = mmap(0n, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  new Uint8Array(ffi().view(page as never, PAGE)).set(code);
  mprotect(page, PAGE, PROT_READ | PROT_EXEC);
  const action = new BigUint64Array([page, BigInt(SA_RESTORER | SA_RESTART | SA_ONSTACK), page + BigInt(restorer), 0n]);
  const before = new BigUint64Array(action.length);
  rtSigaction(SIGNAL, action, before);
  askAll(notes, but);
  // Where a thread is late the handler and its page stay.
  rtSigaction(SIGNAL, before, undefined);
  munmap(page, PAGE);
  const failures = Atomics.load(notes, FAILED);
  if (failures !== 0) throw new VmmError('LOCKDOWN', `${failures} system calls of the lock-down failed`);
}

/** Until every thread has come: those that a thread started before it came are seen when it has, and asked then. */
function askAll(notes: Int32Array, but: readonly number[]): void {
  const end = monotonicMs() + LIMIT_MS;
  const asked = new Set<number>(but);
  for (;;) {
    const fresh = threads().filter((tid) => !asked.has(tid));
    if (fresh.length === 0) return;
    for (const tid of fresh) asked.add(tid);
    const waiting = new Set(fresh.filter((tid) => !isKernels(tid)));
    for (const tid of waiting) tgkill(tid, SIGNAL);
    for (;;) {
      const came = Atomics.load(notes, CAME);
      for (const tid of notes.subarray(NOTED, NOTED + Math.min(came, NOTED_MAX))) waiting.delete(tid);
      const living = new Set(waiting.size > 0 ? threads() : []);
      for (const tid of waiting) if (!living.has(tid)) waiting.delete(tid);
      if (waiting.size === 0) break;
      if (monotonicMs() > end) throw new VmmError('LOCKDOWN', `${waiting.size} threads do not come to the lock-down`);
      Atomics.wait(notes, CAME, came, WAIT_MS);
    }
  }
}
