import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Koffi from 'koffi';
import { VmmError } from '../../base/errors.ts';

/** The FFI library's functions that we use; the front and the bare native module both have them. */
export type Ffi = Pick<typeof Koffi, 'config' | 'load' | 'errno' | 'address' | 'view' | 'node' | 'version'>;

/**
 * koffi calls C on a stack of its own, and 3.3 never frees it when its thread ends: three megabytes of address space by default, for each
 * worker thread that a process ever had. System calls need little.
 */
const STACKS = { sync_stack_size: 256 << 10, sync_heap_size: 64 << 10 };

/**
 * koffi's native module for this machine, without its JavaScript front: 1–2 ms instead of 6–10. Where it lies beside our own folder, or in it, it is
 * named by its path: Node's search for a package takes half of that.
 */
const PACKAGE = '@koromix/koffi-linux-x64';
const BUILDS = ['linux_x64/koffi.node', 'musl_x64/koffi.node'] as const;

function candidates(): string[] {
  if (process.platform !== 'linux' || process.arch !== 'x64') return [];
  const beside = ['../node_modules/', '../../'].map((folder) => fileURLToPath(new URL(`${folder}${PACKAGE}`, import.meta.url))).find((folder) => existsSync(folder));
  return BUILDS.map((build) => `${beside ?? PACKAGE}/${build}`);
}

function load(): Ffi {
  const require = createRequire(import.meta.url);
  let first: unknown;
  for (const name of [...candidates(), 'koffi']) {
    try {
      const ffi = require(name) as Ffi;
      if (typeof ffi.load !== 'function') continue;
      shrinkStacks(ffi);
      return ffi;
    } catch (error) {
      first ??= error;
    }
  }
  throw new VmmError('FFI_MISSING', 'the FFI library koffi cannot be loaded', {
    cause: first,
    hint: 'run `npm run setup` in the checkout; koffi has binaries for Linux on x86-64 (glibc and musl)',
  });
}

function shrinkStacks(ffi: Ffi): void {
  try {
    ffi.config(STACKS);
  } catch {
    // Somebody else in this thread has called through it already.
  }
}

let loaded: Ffi | undefined;

/** The FFI library, loaded by the first call in each thread. */
export function ffi(): Ffi {
  loaded ??= load();
  return loaded;
}

let libc: ReturnType<Ffi['load']> | undefined;

/** Declares one function of the process's own libc. `prototype` is C, with koffi's type names. */
export function declare<F>(prototype: string): F {
  libc ??= ffi().load(null);
  return libc.func(prototype) as unknown as F;
}

/** A table of C functions, each declared at its first use: declaring all of them would cost a millisecond at start. */
export function declareLazily<T>(prototypes: { readonly [K in keyof T]: string }): T {
  const table = {} as T;
  for (const name of Object.keys(prototypes) as (keyof T)[]) {
    Object.defineProperty(table, name, {
      configurable: true,
      enumerable: true,
      get() {
        const value = declare<T[keyof T]>(prototypes[name]);
        Object.defineProperty(table, name, { value, enumerable: true });
        return value;
      },
    });
  }
  return table;
}

/** Host address of a view's first byte. Valid as long as the view's buffer lives; shared memories never move. */
export function addressOf(view: ArrayBufferView): bigint {
  return ffi().address(view as never) as bigint;
}

/** `errno` of this thread's last call through the FFI. */
export function lastErrno(): number {
  return ffi().errno();
}

export interface Watch {
  /** Ends the watch; call it before closing the descriptor. */
  close(): void;
  /** Lets the process end although the watch is on. */
  unref(): void;
}

/**
 * Calls back in this thread's event loop while `fd` has input (uv_poll, level triggered). Only for descriptors that
 * epoll takes (eventfds, pipes, sockets, taps): koffi 3.3 aborts the process on a regular file.
 */
export function watchReadable(fd: number, onReadable: () => void): Watch {
  return ffi().node.poll(fd, { readable: true }, onReadable);
}
