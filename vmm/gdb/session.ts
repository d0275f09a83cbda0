import type { Breakpoint, BreakKind, DebugStop, ResumeAction } from '../accel/debug-types.ts';
import { type MachineResult, machineStatus } from '../machine/result.ts';
import type { DebugMachine } from '../machine/debugger.ts';
import { readMemory, writeMemory } from './memory.ts';
import { infoIrq, infoMem, MONITOR_HELP } from './monitor.ts';
import { encodePacket, fromHex, hexNumber, littleHex, littleValue, PACKET_MAX, PacketReader, toHex } from './packets.ts';
import { REGISTERS, targetXml } from './registers.ts';

/** What a session needs of its server. */
export interface SessionHost {
  send(bytes: Uint8Array): void;
  /** Ends the connection once everything is sent. */
  close(): void;
  /** `monitor reset` makes sense: the run goes on with a new life of the guest. */
  readonly canReset: boolean;
}

// Errors are errno numbers, as gdb's own stubs give them.
const E_NOT_SUPPORTED = '';
const E_INVALID = 'E16';
const E_FAULT = 'E0e';
const E_NO_SPACE = 'E1c';
const E_SEARCH = 'E03';
const SIGINT = 2;
const SIGTRAP = 5;
/** Bytes of one memory packet: as hex digits they fit a packet. */
const MEMORY_MAX = PACKET_MAX / 2 - 16;
const BREAKPOINTS_MAX = 1024;
/** Packets that wait while one is worked on. */
const QUEUE_MAX = 64;
const KINDS: readonly (readonly [BreakKind, boolean])[] = [['execute', false], ['execute', true], ['write', true], ['read', true], ['access', true]];
const WATCH_NAMES = { write: 'watch', read: 'rwatch', access: 'awatch' } as const;

/**
 * One gdb's connection: all-stop mode, threads are vCPUs (thread n is vCPU n - 1). It holds the breakpoints; they reach
 * the machine at the next resume, so that gdb may take them away and give them again at each stop for nothing.
 */
export class GdbSession {
  readonly #host: SessionHost;
  readonly #reader = new PacketReader();
  readonly #breakpoints = new Map<string, Breakpoint>();
  readonly #xml = targetXml();
  /** Stops of other vCPUs that came with the one that was told; watchpoints do not come again by themselves. */
  readonly #waiting: DebugStop[] = [];
  #applied = '';
  #machine: DebugMachine | undefined;
  #running = false;
  #stopping = false;
  #current = 0;
  #lastStop = stopReply(SIGTRAP, 0);
  #noAck = false;
  #lastReply: Uint8Array | undefined;
  #queue: Promise<void> = Promise.resolve();
  #queued = 0;
  #swbreak = false;
  #onLife: (() => void) | undefined;
  #over = false;
  #killed = false;

  constructor(host: SessionHost) {
    this.#host = host;
  }

  /** A life of the guest, standing. `running`: gdb believes that it runs, so it is let go. */
  attach(machine: DebugMachine): void {
    this.#machine = machine;
    this.#applied = '';
    this.#current = 0;
    this.#waiting.length = 0;
    if (this.#running) this.#go(new Array<ResumeAction>(machine.cpus).fill('run'));
    this.#onLife?.();
    this.#onLife = undefined;
  }

  /** gdb expects a target that stands when it connects. */
  async begin(): Promise<void> {
    if (this.#machine === undefined) await this.#nextLife();
    await this.#machine?.pause();
    this.#running = false;
  }

  /** Bytes from gdb. */
  feed(bytes: Uint8Array): void {
    for (const event of this.#reader.feed(bytes)) {
      if (this.#over) return;
      if (event.kind === 'interrupt') this.#enqueue(() => this.#interrupt());
      else if (event.kind === 'nak') {
        if (this.#lastReply !== undefined) this.#host.send(this.#lastReply);
      } else if (event.kind === 'bad') {
        if (!this.#noAck) this.#host.send(Buffer.from('-'));
      } else if (event.kind === 'packet') {
        if (!this.#noAck) this.#host.send(Buffer.from('+'));
        this.#enqueue(() => this.#packet(event.data));
      }
    }
  }

  /** One after another, as they came. A client that sends more than it may is cut off. */
  #enqueue(work: () => Promise<void>): void {
    if (++this.#queued > QUEUE_MAX) {
      this.#host.close();
      return;
    }
    this.#queue = this.#queue.then(work).finally(() => this.#queued--);
  }

  #nextLife(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onLife = resolve;
    return promise;
  }

  /** A vCPU stopped by itself. */
  async stopped(stop: DebugStop): Promise<void> {
    if (!this.#running || this.#stopping) {
      if (stop.reason === 'watchpoint' && this.#waiting.length < 64) this.#waiting.push(stop);
      return;
    }
    this.#stopping = true;
    await this.#machine?.pause();
    this.#stopping = false;
    if (this.#over || !this.#running) return;
    this.#tellStop(stop);
  }

  /** The guest's life is over. gdb is told unless another one follows. */
  ended(result: MachineResult, again: boolean): void {
    this.#machine = undefined;
    if (again || this.#over) return;
    this.#over = true;
    if (this.#running) this.#reply(`W${hex2(machineStatus(result))}`);
    this.#host.close();
  }

  /** gdb has gone: no breakpoint stays, and the guest runs. */
  async finish(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#breakpoints.clear();
    const machine = this.#machine;
    if (machine === undefined || this.#killed) return;
    await machine.pause();
    if (this.#machine !== machine) return;
    machine.setBreakpoints([]);
    machine.resume(new Array<ResumeAction>(machine.cpus).fill('run'));
  }

  // ---- stops --------------------------------------------------------------------------------------------------

  async #interrupt(): Promise<void> {
    if (!this.#running || this.#stopping) return;
    this.#stopping = true;
    await this.#machine?.pause();
    this.#stopping = false;
    if (this.#over || !this.#running) return;
    this.#running = false;
    this.#lastStop = stopReply(SIGINT, this.#current);
    this.#reply(this.#lastStop);
  }

  #tellStop(stop: DebugStop): void {
    this.#running = false;
    this.#current = stop.vcpu;
    let why = '';
    if (stop.reason === 'watchpoint') {
      // gdb looks for a watchpoint of this kind at this address.
      const kind = this.#watchKind(stop.address) ?? stop.access;
      why = `${WATCH_NAMES[kind]}:${stop.address.toString(16)};`;
    } else if (stop.reason === 'breakpoint' && this.#swbreak) why = this.#hardwareAt(stop.vcpu) ? 'hwbreak:;' : 'swbreak:;';
    this.#lastStop = stopReply(SIGTRAP, stop.vcpu, why);
    this.#reply(this.#lastStop);
  }

  #watchKind(address: bigint): 'read' | 'write' | 'access' | undefined {
    for (const { kind, address: from, length } of this.#breakpoints.values()) {
      if (kind !== 'execute' && address >= from && address < from + BigInt(length)) return kind;
    }
    return undefined;
  }

  #hardwareAt(vcpu: number): boolean {
    const pc = this.#machine?.registers(vcpu).get('rip');
    return [...this.#breakpoints.values()].some((point) => point.kind === 'execute' && point.hardware && point.address === pc);
  }

  #go(actions: readonly ResumeAction[]): void {
    const machine = this.#machine;
    this.#running = true;
    // Between two lives: the next one runs from its start.
    if (machine === undefined) return;
    const index = this.#waiting.findIndex((stop) => actions[stop.vcpu] !== 'hold');
    const [early] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (early !== undefined) {
      this.#tellStop(early);
      return;
    }
    const key = [...this.#breakpoints.keys()].sort().join();
    if (key !== this.#applied || machine.accelerator === 'kvm') machine.setBreakpoints([...this.#breakpoints.values()]);
    this.#applied = key;
    machine.resume(actions);
  }

  // ---- packets ------------------------------------------------------------------------------------------------

  async #packet(data: Uint8Array): Promise<void> {
    if (this.#over) return;
    const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1');
    // gdb is silent while the target runs, but for its interrupt and for killing it.
    if (this.#running && text !== 'k' && !text.startsWith('vKill')) return;
    let reply: string | Uint8Array | undefined;
    try {
      reply = await this.#answer(text, data);
    } catch {
      // The machine went away under the command.
      reply = E_SEARCH;
    }
    if (reply !== undefined && !this.#over) this.#reply(reply);
  }

  #reply(data: string | Uint8Array): void {
    this.#lastReply = encodePacket(data);
    this.#host.send(this.#lastReply);
  }

  #answer(text: string, data: Uint8Array): Promise<string | undefined> | string | Uint8Array | undefined {
    const rest = text.slice(1);
    switch (text[0]) {
      case '?': return this.#lastStop;
      case 'g': return this.#readAll();
      case 'G': return this.#writeAll(rest);
      case 'p': return this.#readOne(rest);
      case 'P': return this.#writeOne(rest);
      case 'm': return this.#readMemory(rest);
      case 'M': return this.#writeMemory(rest);
      case 'X': return this.#writeBinary(text, data);
      case 'Z': return this.#insert(rest);
      case 'z': return this.#remove(rest);
      case 'c': return this.#resumeOld('run', rest);
      case 's': return this.#resumeOld('step', rest);
      case 'C': return this.#resumeOld('run', afterSignal(rest));
      case 'S': return this.#resumeOld('step', afterSignal(rest));
      case 'H': return this.#selectThread(rest);
      case 'T': return this.#thread(rest) === undefined ? E_SEARCH : 'OK';
      case 'D': return this.#detach();
      case 'k': return this.#kill();
      case 'v': return this.#multi(rest);
      case 'q': return this.#query(rest);
      case 'Q': return this.#set(rest);
      default: return E_NOT_SUPPORTED;
    }
  }

  #query(name: string): Promise<string | undefined> | string | undefined {
    if (name === 'Supported' || name.startsWith('Supported:')) {
      this.#swbreak = /[:;]swbreak\+/.test(name);
      return `PacketSize=${PACKET_MAX.toString(16)};qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+`;
    }
    if (name.startsWith('Xfer:features:read:')) return this.#features(name.slice(19));
    if (name === 'C') return `QC${(this.#current + 1).toString(16)}`;
    if (name.startsWith('Attached')) return '1';
    if (name === 'fThreadInfo') return `m${this.#vcpus().map((vcpu) => (vcpu + 1).toString(16)).join()}`;
    if (name === 'sThreadInfo') return 'l';
    if (name.startsWith('ThreadExtraInfo,')) {
      const vcpu = this.#thread(name.slice(16));
      if (vcpu === undefined) return E_SEARCH;
      const waiting = this.#machine?.waiting(vcpu);
      return toHex(Buffer.from(`vCPU ${vcpu}${waiting === undefined ? '' : ` [${waiting}]`}`));
    }
    if (name.startsWith('Symbol:')) return 'OK';
    if (name.startsWith('Rcmd,')) return this.#monitor(name.slice(5));
    return E_NOT_SUPPORTED;
  }

  #set(name: string): string {
    if (name !== 'StartNoAckMode') return E_NOT_SUPPORTED;
    this.#noAck = true;
    return 'OK';
  }

  /** `ANNEX:OFFSET,LENGTH`. */
  #features(request: string): string {
    const match = /^([^:]*):([0-9a-f]{1,8}),([0-9a-f]{1,8})$/i.exec(request);
    if (match === null) return E_INVALID;
    if (match[1] !== 'target.xml') return 'E00';
    const from = Number.parseInt(match[2] as string, 16);
    const length = Math.min(Number.parseInt(match[3] as string, 16), PACKET_MAX / 2);
    const part = this.#xml.slice(from, from + length);
    return `${from + length >= this.#xml.length ? 'l' : 'm'}${part}`;
  }

  // ---- threads ------------------------------------------------------------------------------------------------

  #vcpus(): number[] {
    return Array.from({ length: this.#machine?.cpus ?? 1 }, (_, vcpu) => vcpu);
  }

  /** The vCPU of a thread id; undefined when there is none. */
  #thread(text: string): number | undefined {
    const id = hexNumber(text);
    if (id === undefined || id < 1n || id > BigInt(this.#machine?.cpus ?? 1)) return undefined;
    return Number(id) - 1;
  }

  /** `g` and `c` with a thread; 0 and -1 are any and all. */
  #selectThread(text: string): string {
    const id = text.slice(1);
    if (id === '0' || id === '-1') return 'OK';
    const vcpu = this.#thread(id);
    if (vcpu === undefined) return E_SEARCH;
    if (text[0] === 'g') this.#current = vcpu;
    return 'OK';
  }

  // ---- resume -------------------------------------------------------------------------------------------------

  #resumeOld(action: ResumeAction, address: string): string | undefined {
    if (address !== '') {
      const value = hexNumber(address);
      if (value === undefined) return E_INVALID;
      this.#need().setRegister(this.#current, 'rip', value);
    }
    // An old step is of the current vCPU alone, else it could pass over what another one does.
    this.#go(this.#vcpus().map((vcpu) => (action === 'step' && vcpu !== this.#current ? 'hold' : action)));
    return undefined;
  }

  #multi(text: string): string | undefined {
    if (text === 'Cont?') return 'vCont;c;C;s;S;t';
    if (text.startsWith('Kill')) {
      void this.#kill();
      return 'OK';
    }
    if (!text.startsWith('Cont;')) return E_NOT_SUPPORTED;
    const actions = new Array<ResumeAction | undefined>(this.#vcpus().length).fill(undefined);
    for (const part of text.slice(5).split(';')) {
      const match = /^([csCSt])([0-9a-f]{2})?(?::(.+))?$/i.exec(part);
      if (match === null || /[CS]/.test(match[1] as string) !== (match[2] !== undefined)) return E_INVALID;
      const letter = (match[1] as string).toLowerCase();
      const action = letter === 'c' ? 'run' : letter === 's' ? 'step' : 'hold';
      const only = match[3] === undefined || match[3] === '-1' ? undefined : this.#thread(match[3]);
      if (match[3] !== undefined && match[3] !== '-1' && only === undefined) return E_INVALID;
      // The first action that fits a thread counts.
      actions.forEach((known, vcpu) => {
        if (known === undefined && (only === undefined || only === vcpu)) actions[vcpu] = action;
      });
    }
    const whole = actions.map((action) => action ?? 'hold');
    if (whole.every((action) => action === 'hold')) return E_INVALID;
    this.#go(whole);
    return undefined;
  }

  async #detach(): Promise<undefined> {
    this.#reply('OK');
    await this.finish();
    this.#host.close();
    return undefined;
  }

  #kill(): undefined {
    this.#killed = true;
    this.#machine?.stop();
    return undefined;
  }

  // ---- registers ----------------------------------------------------------------------------------------------

  #need(): DebugMachine {
    if (this.#machine === undefined) throw new Error('no machine');
    return this.#machine;
  }

  #readAll(): string {
    const values = this.#need().registers(this.#current);
    return REGISTERS.map(({ source, bits }) => {
      const value = values.get(source);
      return value === undefined ? 'x'.repeat(bits / 4) : littleHex(value, bits / 8);
    }).join('');
  }

  /** Sets what differs: most of a G packet is what gdb has read before. */
  #writeAll(text: string): string {
    const machine = this.#need();
    const values = machine.registers(this.#current);
    let at = 0;
    for (const { source, bits } of REGISTERS) {
      const digits = text.slice(at, at + bits / 4);
      at += bits / 4;
      if (digits.length < bits / 4) break;
      const bytes = fromHex(digits);
      if (bytes === undefined) {
        if (/^x+$/i.test(digits)) continue;
        return E_INVALID;
      }
      const value = littleValue(bytes);
      if (value !== BigInt.asUintN(bits, values.get(source) ?? 0n)) machine.setRegister(this.#current, source, value);
    }
    return 'OK';
  }

  #readOne(text: string): string {
    const register = REGISTERS[Number(hexNumber(text) ?? -1n)];
    if (register === undefined) return E_INVALID;
    const value = this.#need().registers(this.#current).get(register.source);
    return value === undefined ? 'x'.repeat(register.bits / 4) : littleHex(value, register.bits / 8);
  }

  #writeOne(text: string): string {
    const equals = text.indexOf('=');
    const register = REGISTERS[Number(hexNumber(text.slice(0, Math.max(0, equals))) ?? -1n)];
    const bytes = fromHex(text.slice(equals + 1));
    if (register === undefined || bytes === undefined || bytes.length !== register.bits / 8) return E_INVALID;
    return this.#need().setRegister(this.#current, register.source, littleValue(bytes)) ? 'OK' : E_INVALID;
  }

  // ---- memory -------------------------------------------------------------------------------------------------

  #readMemory(text: string): string {
    const range = rangeOf(text);
    if (range === undefined) return E_INVALID;
    const bytes = readMemory(this.#need(), this.#current, range.address, Math.min(range.length, MEMORY_MAX));
    return bytes.length === 0 && range.length > 0 ? E_FAULT : toHex(bytes);
  }

  #writeMemory(text: string): string {
    const colon = text.indexOf(':');
    const range = rangeOf(text.slice(0, Math.max(0, colon)));
    const bytes = fromHex(text.slice(colon + 1));
    if (range === undefined || bytes === undefined || bytes.length !== range.length) return E_INVALID;
    return writeMemory(this.#need(), this.#current, range.address, bytes) ? 'OK' : E_FAULT;
  }

  #writeBinary(text: string, data: Uint8Array): string {
    const colon = text.indexOf(':');
    const range = rangeOf(text.slice(1, Math.max(1, colon)));
    const bytes = data.subarray(colon + 1);
    if (range === undefined || bytes.length !== range.length) return E_INVALID;
    return writeMemory(this.#need(), this.#current, range.address, bytes) ? 'OK' : E_FAULT;
  }

  // ---- breakpoints --------------------------------------------------------------------------------------------

  #insert(text: string): string {
    const parsed = breakpointOf(text);
    if (parsed === undefined) return E_INVALID;
    if (parsed === 'unknown') return E_NOT_SUPPORTED;
    // The protocol wants it to be the same to insert a point twice.
    if (this.#breakpoints.has(keyOf(parsed))) return 'OK';
    if (this.#breakpoints.size >= BREAKPOINTS_MAX) return E_NO_SPACE;
    const machine = this.#need();
    if (machine.refusal([...this.#breakpoints.values(), parsed]) !== undefined) return E_NO_SPACE;
    // KVM's software breakpoints are bytes of guest memory.
    if (machine.accelerator === 'kvm' && !parsed.hardware && machine.translate(this.#current, parsed.address) === undefined) return E_FAULT;
    this.#breakpoints.set(keyOf(parsed), parsed);
    return 'OK';
  }

  #remove(text: string): string {
    const parsed = breakpointOf(text);
    if (parsed === undefined) return E_INVALID;
    if (parsed === 'unknown') return E_NOT_SUPPORTED;
    this.#breakpoints.delete(keyOf(parsed));
    return 'OK';
  }

  // ---- monitor ------------------------------------------------------------------------------------------------

  async #monitor(hex: string): Promise<string> {
    const bytes = fromHex(hex);
    if (bytes === undefined) return E_INVALID;
    const command = Buffer.from(bytes).toString('utf8').trim().replace(/\s+/g, ' ');
    const output = await this.#command(command);
    // In pieces that fit packets.
    for (let at = 0; at < output.length; at += MEMORY_MAX / 4) this.#reply(`O${toHex(Buffer.from(output.slice(at, at + MEMORY_MAX / 4)))}`);
    return 'OK';
  }

  async #command(command: string): Promise<string> {
    const machine = this.#need();
    switch (command) {
      case 'help': return MONITOR_HELP;
      case 'info mem': return infoMem(machine, this.#current);
      case 'info irq': return infoIrq(machine);
      case 'dump': return machine.dump();
      case 'reset': {
        if (!this.#host.canReset) return 'a container cannot be reset: end it (kill) and run it again\n';
        const life = this.#nextLife();
        machine.reset();
        await life;
        this.#lastStop = stopReply(SIGTRAP, 0);
        return 'the guest stands before its first instruction; gdb sees it after `maintenance flush register-cache`\n';
      }
      default: return `unknown command: ${command.slice(0, 80)}\n${MONITOR_HELP}`;
    }
  }
}

function hex2(n: number): string {
  return (n & 0xff).toString(16).padStart(2, '0');
}

function stopReply(signal: number, vcpu: number, why = ''): string {
  return `T${hex2(signal)}thread:${(vcpu + 1).toString(16)};${why}`;
}

/** `SIGNAL[;ADDRESS]`: signals mean nothing to a machine. */
function afterSignal(text: string): string {
  const semicolon = text.indexOf(';');
  return semicolon < 0 ? '' : text.slice(semicolon + 1);
}

/** `ADDRESS,LENGTH`. */
function rangeOf(text: string): { address: bigint; length: number } | undefined {
  const [first, second, more] = text.split(',');
  const address = hexNumber(first ?? '');
  const length = hexNumber(second ?? '');
  if (address === undefined || length === undefined || more !== undefined || length > 0xffff_ffffn) return undefined;
  return { address, length: Number(length) };
}

/** `TYPE,ADDRESS,KIND[;…]`: KIND is the watched length; conditions and commands are not offered. */
function breakpointOf(text: string): Breakpoint | 'unknown' | undefined {
  const match = /^([0-9a-f]),([0-9a-f]{1,16}),([0-9a-f]{1,8})(?:;.*)?$/i.exec(text);
  if (match === null) return undefined;
  const kind = KINDS[Number.parseInt(match[1] as string, 16)];
  if (kind === undefined) return 'unknown';
  const length = kind[0] === 'execute' ? 1 : Number.parseInt(match[3] as string, 16);
  const address = BigInt(`0x${match[2]}`);
  if (length === 0 || address + BigInt(length) > 1n << 64n) return undefined;
  return { kind: kind[0], hardware: kind[1], address, length };
}

function keyOf({ kind, hardware, address, length }: Breakpoint): string {
  return `${kind}${hardware ? '!' : ''}${address.toString(16)}+${length}`;
}
