import type { Machine } from '../api/machine.ts';
import type { GuestInput } from './input.ts';
import { KeySequence } from './keys.ts';
import type { RawTerminal } from './terminal.ts';

const ESCAPE_KEY = 0x1d; // Ctrl-]
const ESCAPE_HELP = '\r\nvmm: q quit, r reset, p pause or go on, d dump, any other key goes back\r\n';

export interface MonitorOptions {
  quit(): void;
  /** A reset from outside could not be repeated in a counted run. */
  readonly canReset: boolean;
}

/** The terminal of `vmm boot`: keys to the machine's console, but for those behind Ctrl-], which are the monitor's. */
export function attachMonitor(terminal: RawTerminal, machine: Machine, input: GuestInput, options: MonitorOptions): void {
  const escapeKey = new KeySequence([ESCAPE_KEY]);
  const command = commands(machine, input, options);
  let inMonitor = false;
  const feed = (bytes: Uint8Array): void => {
    if (inMonitor) {
      if (bytes.length === 0) return;
      inMonitor = false;
      command(String.fromCharCode(bytes[0] as number));
      feed(bytes.subarray(1));
      return;
    }
    const { pass, hit, rest } = escapeKey.feed(bytes);
    if (pass.length > 0) void input.write(pass);
    if (!hit) return;
    inMonitor = true;
    process.stdout.write(ESCAPE_HELP);
    feed(rest);
  };
  terminal.start(feed);
  void input.resize(terminal.size());
  terminal.onResize((size) => void input.resize(size));
}

function commands(machine: Machine, input: GuestInput, options: MonitorOptions): (key: string) => void {
  let paused = false;
  return (key) => {
    if (key === 'q') options.quit();
    else if (key === 'r') {
      if (options.canReset) machine.reset();
    } else if (key === 'p') {
      paused = !paused;
      if (paused) void machine.pause().then(() => process.stdout.write('\r\nvmm: paused\r\n'));
      else machine.resume();
    } else if (key === 'd') void machine.dump().then((text) => process.stdout.write(`\r\n${text.replaceAll('\n', '\r\n')}`));
    else void input.write(Buffer.from(key, 'latin1'));
  };
}
