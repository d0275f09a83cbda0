import { VmmError } from '../../base/errors.ts';

/** Where a debugger may connect: a Unix socket, or a port of this host's loopback. */
export type GdbAddress = { readonly kind: 'unix'; readonly path: string } | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** sun_path of <sys/un.h> without its terminating zero. */
const UNIX_PATH_MAX = 107;
const HINT = 'write unix:PATH, or 127.0.0.1:PORT';

/** `unix:PATH`, `127.0.0.1:PORT` or `[::1]:PORT`: whoever reaches the debugger owns the guest, so nothing else is taken. */
export function parseGdbAddress(text: string): GdbAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    if (path === '' || path.includes('\0')) throw new VmmError('USAGE', `--gdb: ${text} names no socket`, { hint: HINT });
    if (Buffer.byteLength(path) > UNIX_PATH_MAX) throw new VmmError('USAGE', `--gdb: the path of a Unix socket has at most ${UNIX_PATH_MAX} bytes, this one ${Buffer.byteLength(path)}`, { hint: 'take a shorter path, in /tmp or $XDG_RUNTIME_DIR' });
    return { kind: 'unix', path };
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (match === null) throw new VmmError('USAGE', `--gdb: ${text} is not an address`, { hint: HINT });
  const name = match[1] ?? match[2] ?? '';
  const host = name === 'localhost' ? '127.0.0.1' : name;
  const loopback = host === '::1' || /^127\.(?:\d{1,3}\.){2}\d{1,3}$/.test(host);
  if (!loopback) throw new VmmError('USAGE', `--gdb: ${name === '' ? text : name} is not a loopback address: a debugger port would be open to the network`, { hint: HINT });
  const port = Number(match[3]);
  if (port > 65535) throw new VmmError('USAGE', `--gdb: ${port} is not a port`, { hint: 'ports go from 0 (any free one) to 65535' });
  return { kind: 'tcp', host, port };
}

/** How gdb's `target remote` names it. */
export function targetOf(address: GdbAddress): string {
  if (address.kind === 'unix') return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
