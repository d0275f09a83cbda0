/**
 * V8's optimised code of the software CPU, kept between runs in the user's cache: it takes V8 a fifth of a start's CPU time to make it anew
 * (docs/decisions/0027). V8 gives and takes it by functions of its own (src/runtime/runtime-test-wasm.cc) that end the process where they are
 * asked wrongly: they are used with versions of V8 that this was tried with, and never needed.
 *
 * A file belongs to one version of Node and one core, both in its name: installations of several versions leave each other's alone. It has a
 * header of HEADER bytes, then V8's bytes. It is written through a descriptor that is open since before the process was confined, its header
 * last; what is damaged, half-written, old or somebody else's is not used.
 */
import { closeSync, constants, fstatSync, ftruncateSync, lstatSync, openSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { crc32 } from 'node:zlib';
import { isOwn, makeOwnFolder, userCache } from '../../base/user-cache.ts';
import { resetFlags } from './v8-flags.ts';

const V8_TRIED = /^13\.6\./;

/** Magic and version of the file, V8's version (NUL-padded), then u32: length and CRC-32 of the core, length and CRC-32 of V8's bytes. */
const MAGIC = 'vmm code 1\n';
const VERSION_AT = 16;
const NUMBERS_AT = 48;
const HEADER = 64;
/** A core of 0.3 MB gives 0.3 MB. */
const CODE_MAX = 16 << 20;
/** Each version of Node and of the core has a file of its own; so many stay. */
const FILES_MAX = 8;

type Bytes = Uint8Array<ArrayBuffer>;

interface V8Functions {
  serialize(module: WebAssembly.Module): ArrayBuffer;
  /** Undefined: V8 refuses the bytes, as made by another version, with other flags or for another processor. */
  deserialize(code: ArrayBuffer, wasm: Bytes): WebAssembly.Module | undefined;
  tierUp(exported: unknown): void;
  isOptimised(exported: unknown): boolean;
}

/** Its flags decide whether V8 takes bytes: they are the same as without this again when one of the functions is called. */
function v8Functions(): V8Functions | undefined {
  if (!V8_TRIED.test(process.versions.v8)) return undefined;
  setFlagsFromString('--allow-natives-syntax');
  try {
    // Functions made this way are compiled here and now, and not when they are called.
    const call = (name: string, ...parameters: string[]) => new Function(...parameters, `return %${name}(${parameters.join()})`);
    return {
      serialize: call('SerializeWasmModule', 'module'),
      deserialize: call('DeserializeWasmModule', 'code', 'wasm'),
      tierUp: call('WasmTierUpFunction', 'exported'),
      isOptimised: call('IsTurboFanFunction', 'exported'),
    } as unknown as V8Functions;
  } catch {
    return undefined;
  } finally {
    setFlagsFromString('--no-allow-natives-syntax');
  }
}

function headerOf(wasm: Bytes, code: Bytes): Buffer {
  const header = Buffer.alloc(HEADER);
  header.write(MAGIC, 0, 'latin1');
  header.write(process.versions.v8, VERSION_AT, NUMBERS_AT - VERSION_AT, 'latin1');
  [wasm.length, crc32(wasm), code.length, crc32(code)].forEach((value, i) => header.writeUInt32LE(value, NUMBERS_AT + 4 * i));
  return header;
}

/** The file's code if it is whole, this user's, and of this core and this V8. */
function readCode(fd: number, wasm: Bytes): Bytes | undefined {
  const stats = fstatSync(fd);
  if (!stats.isFile() || !isOwn(stats) || stats.size <= HEADER || stats.size > HEADER + CODE_MAX) return undefined;
  const file = new Uint8Array(stats.size);
  if (readSync(fd, file, 0, file.length, 0) !== file.length) return undefined;
  const code = file.slice(HEADER);
  return headerOf(wasm, code).equals(file.subarray(0, HEADER)) ? code : undefined;
}

/** The place for code that is to be kept, open while the process may still open it. */
class Keeper {
  readonly #fd: number;
  readonly #wasm: Bytes;
  readonly #v8: V8Functions;

  constructor(fd: number, wasm: Bytes, v8: V8Functions) {
    this.#fd = fd;
    this.#wasm = wasm;
    this.#v8 = v8;
  }

  /** `exported`: a function of an instance of the module. Once. Where it cannot be kept, it is made again next time. */
  keep(module: WebAssembly.Module, exported: unknown): void {
    try {
      // Without a single optimised function V8 gives nothing, and ends the process.
      this.#v8.tierUp(exported);
      if (!this.#v8.isOptimised(exported)) return;
      // V8 takes bytes back with the flags alone that they were made with, and a start has not yet what a translator sets (vmm/jit/worker.ts),
      // which sets it anew with its next machine.
      resetFlags();
      const code = new Uint8Array(this.#v8.serialize(module));
      if (code.length > CODE_MAX) return;
      ftruncateSync(this.#fd);
      if (writeSync(this.#fd, code, 0, code.length, HEADER) === code.length) writeSync(this.#fd, headerOf(this.#wasm, code), 0, HEADER, 0);
    } catch {
      // a full disk
    } finally {
      closeSync(this.#fd);
    }
  }
}

export type { Keeper };

/** The module with its kept code; else where to keep it; neither where there is no such place. */
export function keptCode(wasm: Bytes): { readonly module?: WebAssembly.Module; readonly keeper?: Keeper } {
  const v8 = v8Functions();
  if (v8 === undefined) return {};
  const folder = userCache('code');
  const path = join(folder, `core-${process.version}-${crc32(wasm).toString(16).padStart(8, '0')}`);
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
    const code = readCode(fd, wasm);
    const module = code === undefined ? undefined : v8.deserialize(code.buffer, wasm);
    if (module === undefined) return isOwn(fstatSync(fd)) ? { keeper: new Keeper(fd, wasm, v8) } : {};
    closeSync(fd);
    return { module };
  } catch {
    // no file yet, or not for us
  }
  return fd === undefined ? newKeeper(folder, path, wasm, v8) : {};
}

/** Room for one more: what is oldest goes. Whoever still uses it makes it again. */
function dropOldest(folder: string): void {
  const files = readdirSync(folder).filter((name) => /^core-v[\d.]+(-[\da-f]{8})?$/.test(name)).map((name) => join(folder, name));
  const ages = files.map((path) => ({ path, stats: lstatSync(path, { throwIfNoEntry: false }) })).filter(({ stats }) => stats?.isFile());
  ages.sort((a, b) => Number(b.stats?.mtimeMs) - Number(a.stats?.mtimeMs));
  for (const { path } of ages.slice(FILES_MAX - 1)) rmSync(path, { force: true });
}

function newKeeper(folder: string, path: string, wasm: Bytes, v8: V8Functions): { keeper?: Keeper } {
  try {
    makeOwnFolder(folder);
    dropOldest(folder);
    return { keeper: new Keeper(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600), wasm, v8) };
  } catch {
    return {};
  }
}
