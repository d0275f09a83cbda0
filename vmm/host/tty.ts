/** Terminals: raw mode, window sizes and pseudo terminals, by ioctl (ioctl_tty(2)). */
import { ioctl, open } from './sys.ts';
import {
  BRKINT, CS8, CSIZE, ECHO, ECHONL, ICANON, ICRNL, IEXTEN, IGNBRK, IGNCR, INLCR, ISIG, ISTRIP, IXON, O_CLOEXEC, O_NOCTTY, O_RDWR, OPOST, PARENB, PARMRK, TCGETS, TCSETSF, TCSETSW,
  TIOCGPTN, TIOCGWINSZ, TIOCSPTLCK, TIOCSWINSZ, VMIN, VTIME, termios,
} from './uapi/linux.ts';

/** A terminal's settings (struct termios), as `terminalSettings` read them. */
export type Termios = Uint8Array;

export function terminalSettings(fd: number): Termios {
  const settings = new Uint8Array(termios.sizeof);
  ioctl(fd, TCGETS, settings, 'TCGETS');
  return settings;
}

export function setTerminalSettings(fd: number, settings: Termios): void {
  ioctl(fd, TCSETSW, settings, 'TCSETSW');
}

/** Throws away input that nobody has read, once all output is written. The settings stay. */
export function discardInput(fd: number): void {
  ioctl(fd, TCSETSF, terminalSettings(fd), 'TCSETSF');
}

/** The same settings in raw mode (termios(3), cfmakeraw): bytes pass as they are, one at a time. */
export function rawSettings(settings: Termios): Termios {
  const raw = Uint8Array.from(settings);
  const view = new DataView(raw.buffer);
  const clear = (at: number, bits: number, set = 0) => view.setUint32(at, ((view.getUint32(at, true) & ~bits) | set) >>> 0, true);
  clear(termios.c_iflag, IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  clear(termios.c_oflag, OPOST);
  clear(termios.c_lflag, ECHO | ICANON | ECHONL | ISIG | IEXTEN);
  clear(termios.c_cflag, CSIZE | PARENB, CS8);
  raw[termios.c_cc + VMIN] = 1;
  raw[termios.c_cc + VTIME] = 0;
  return raw;
}

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** For tests, as the next two: a terminal and its size. */
export function windowSize(fd: number): WindowSize {
  const size = new Uint16Array(4);
  ioctl(fd, TIOCGWINSZ, size, 'TIOCGWINSZ');
  return { rows: size[0] as number, columns: size[1] as number };
}

/** For tests. */
export function setWindowSize(fd: number, { rows, columns }: WindowSize): void {
  ioctl(fd, TIOCSWINSZ, new Uint16Array([rows, columns, 0, 0]), 'TIOCSWINSZ');
}

/** For tests: a new pseudo terminal, both ends open (pty(7)). */
export function openPty(): { master: number; slave: number; path: string } {
  const master = open('/dev/ptmx', O_RDWR | O_NOCTTY | O_CLOEXEC);
  const number = new Int32Array(1);
  ioctl(master, TIOCSPTLCK, number, 'TIOCSPTLCK');
  ioctl(master, TIOCGPTN, number, 'TIOCGPTN');
  const path = `/dev/pts/${number[0]}`;
  return { master, slave: open(path, O_RDWR | O_NOCTTY | O_CLOEXEC), path };
}
