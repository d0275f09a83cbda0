import { COUNT_BASE, EXEC_LOG_BASE, EXEC_LOG_ENTRY, EXEC_LOG_MAX } from '../../assembly/core/layout.ts';
import type { SymbolNames } from '../boot/symbols.ts';
import type { TraceFile } from '../core/trace.ts';

/** Names that are kept by address. */
const NAMES_MAX = 1 << 18;
/** Characters that are written at a time. */
const CHUNK = 1 << 18;

/**
 * `--trace exec`: writes the log of executed blocks (assembly/cpu/execute/count.ts), a line each: "MICROSECONDS vcpuN exec COUNT
 * ADDRESS INSTRUCTIONS [NAME]". COUNT is the vCPU's own, before the block; time is virtual.
 */
export class ExecTrace {
  readonly #view: DataView;
  readonly #file: TraceFile;
  readonly #symbols: () => SymbolNames | undefined;
  #loaded: SymbolNames | undefined;
  #asked = false;
  readonly #names = new Map<bigint, string>();
  #count = 0;
  #ns = 0;
  #nsPerInsn = 1;

  constructor(memory: WebAssembly.Memory, file: TraceFile, symbols: () => SymbolNames | undefined) {
    this.#view = new DataView(memory.buffer);
    this.#file = file;
    this.#symbols = symbols;
  }

  /** A slice of a vCPU that has retired `count` instructions begins at virtual time `ns`. */
  begin(count: bigint, ns: bigint, nsPerInsn: bigint): void {
    this.#count = Number(count);
    this.#ns = Number(ns);
    this.#nsPerInsn = Number(nsPerInsn);
  }

  /** Writes what the log holds and empties it. */
  drain(): void {
    const view = this.#view;
    const used = Math.min(view.getUint32(COUNT_BASE + 8, true), EXEC_LOG_MAX);
    if (used === 0) return;
    view.setUint32(COUNT_BASE + 8, 0, true);
    let text = '';
    for (let i = 0; i < used; i++) {
      const at = EXEC_LOG_BASE + i * EXEC_LOG_ENTRY;
      const rip = view.getBigUint64(at, true);
      const done = (view.getUint32(at + 8, true) - this.#count) >>> 0;
      const us = (this.#ns + done * this.#nsPerInsn) / 1000;
      text += `${us.toFixed(1)} vcpu${view.getUint16(at + 14, true)} exec ${this.#count + done} ${this.#place(rip).replace(' ', ` ${view.getUint16(at + 12, true)} `)}\n`;
      if (text.length > CHUNK) {
        this.#file.write(text);
        text = '';
      }
    }
    this.#file.write(text);
  }

  /** "ADDRESS NAME", the name empty where none is known. */
  #place(rip: bigint): string {
    const known = this.#names.get(rip);
    if (known !== undefined) return known;
    if (!this.#asked) {
      this.#asked = true;
      this.#loaded = this.#symbols();
    }
    if (this.#names.size >= NAMES_MAX) this.#names.clear();
    const place = `${rip.toString(16)} ${this.#loaded?.nameOf(rip) ?? ''}`;
    this.#names.set(rip, place);
    return place;
  }
}
