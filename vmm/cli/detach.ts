/** The terminal of a container in this process: raw. */
import type { GuestInput } from './input.ts';
import { KeySequence } from './keys.ts';
import { standardInput } from './stdin.ts';
import type { RawTerminal } from './terminal.ts';

const CTRL_C = 3;

export interface ContainerTerminal {
  readonly detachKeys: readonly number[];
  /** Keys go to the container. Else only Ctrl-C counts, which `interrupt` is told. */
  readonly interactive: boolean;
  interrupt(): void;
  /** The terminal is gone for good (its window was closed): the container would be out of reach. */
  hangup(): void;
  /** The detach keys were pressed, and nobody else could reach the container. */
  stays(): void;
}

/** The terminal in raw mode: keys to the container, its size after it. */
export function attachTerminal(terminal: RawTerminal, input: GuestInput, options: ContainerTerminal): void {
  const keys = new KeySequence(options.detachKeys);
  const onInput = (bytes: Uint8Array): void => {
    if (!options.interactive) {
      if (bytes.includes(CTRL_C)) options.interrupt();
      return;
    }
    const { pass, hit, rest } = keys.feed(bytes);
    if (pass.length > 0) void input.write(pass);
    if (!hit) return;
    options.stays();
    if (rest.length > 0) onInput(rest);
  };
  standardInput().on('end', options.hangup);
  standardInput().on('error', options.hangup);
  terminal.start(onInput);
  terminal.onResize((size) => void input.resize(size));
}
