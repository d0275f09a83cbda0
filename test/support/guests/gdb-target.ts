import type { Breakpoint, DebugStop, ResumeAction } from '../../../vmm/accel/debug-types.ts';
import type { DebugMachine } from '../../../vmm/machine/debugger.ts';
import { encodePacket, PacketReader } from '../../../vmm/gdb/packets.ts';
import { GdbSession } from '../../../vmm/gdb/session.ts';

export const PAGE = 4096;

/** A machine without a CPU: registers are a map, pages of a small RAM lie where `map` says, resumes are noted. */
export class FakeMachine implements DebugMachine {
  readonly accelerator: 'kvm' | 'wasm';
  readonly cpus: number;
  readonly ram = new Uint8Array(8 * PAGE);
  readonly files: Map<string, bigint>[];
  /** Page number of a linear address → page of RAM. */
  readonly map = new Map<bigint, number>();
  readonly noted: string[] = [];
  readonly readOnly = new Set<string>();
  list: readonly Breakpoint[] = [];
  breaksMax = 4;
  onReset: () => void = () => {};

  constructor(cpus = 2, accelerator: 'kvm' | 'wasm' = 'wasm') {
    this.cpus = cpus;
    this.accelerator = accelerator;
    this.files = Array.from({ length: cpus }, () => new Map<string, bigint>());
  }

  registers(vcpu: number): Map<string, bigint> {
    return this.files[vcpu] as Map<string, bigint>;
  }

  setRegister(vcpu: number, name: string, value: bigint): boolean {
    if (this.readOnly.has(name)) return false;
    this.registers(vcpu).set(name, value);
    this.noted.push(`set ${vcpu} ${name}=${value.toString(16)}`);
    return true;
  }

  translate(_vcpu: number, address: bigint): bigint | undefined {
    const page = this.map.get(address >> 12n);
    return page === undefined ? undefined : BigInt(page * PAGE) + (address & 0xfffn);
  }

  written(gpa: number, length: number): void {
    this.noted.push(`written ${gpa}+${length}`);
  }

  refusal(list: readonly Breakpoint[]): string | undefined {
    return list.length > this.breaksMax ? 'too many' : undefined;
  }

  setBreakpoints(list: readonly Breakpoint[]): void {
    this.list = list;
    this.noted.push(`breakpoints ${list.map((point) => `${point.kind}@${point.address.toString(16)}+${point.length}`).join()}`);
  }

  resume(actions: readonly ResumeAction[]): void {
    this.noted.push(`resume ${actions.join()}`);
  }

  async pause(): Promise<void> {
    this.noted.push('pause');
  }

  async dump(): Promise<string> {
    return 'the dump\n';
  }

  reset(): void {
    this.onReset();
  }

  stop(): void {
    this.noted.push('stop');
  }

  waiting(vcpu: number): 'halted' | 'not started' | undefined {
    return vcpu === 1 ? 'not started' : undefined;
  }

  lapic(): Uint8Array {
    return new Uint8Array(1024);
  }

  ioapic(): bigint[] {
    return new Array<bigint>(24).fill(0x1_0000n);
  }
}

/** A session on a fake machine, spoken to in packets. */
export class Conversation {
  readonly machine: FakeMachine;
  readonly session: GdbSession;
  closed = false;
  /** Acknowledgements sent outside packets. */
  acks = '';
  readonly #replies: string[] = [];
  #wake: () => void = () => {};

  constructor(machine = new FakeMachine(), canReset = true) {
    this.machine = machine;
    const reader = new PacketReader();
    this.session = new GdbSession({
      send: (bytes) => {
        for (const event of reader.feed(bytes)) {
          if (event.kind === 'packet') this.#replies.push(Buffer.from(event.data).toString('latin1'));
          else this.acks += event.kind === 'ack' ? '+' : '-';
        }
        this.#wake();
      },
      close: () => {
        this.closed = true;
        this.#wake();
      },
      canReset,
    });
  }

  async begin(): Promise<this> {
    this.session.attach(this.machine);
    await this.session.begin();
    this.machine.noted.length = 0;
    return this;
  }

  raw(bytes: Uint8Array): void {
    this.session.feed(bytes);
  }

  /** The next packet from the session. */
  async reply(): Promise<string> {
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      if (this.closed) return '(closed)';
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  /** Sends a packet and returns the next one that comes. */
  ask(packet: string | Uint8Array): Promise<string> {
    this.raw(encodePacket(packet));
    return this.reply();
  }

  /** Sends a packet that has no answer yet; resolves once it is worked off. */
  async send(packet: string): Promise<void> {
    this.raw(encodePacket(packet));
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }

  async stop(stop: DebugStop): Promise<string> {
    await this.session.stopped(stop);
    return this.reply();
  }
}
