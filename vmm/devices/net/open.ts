import { once } from 'node:events';
import { closeSync, fstatSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { NET_CSUM, NET_ECN, NET_HDR_SIZE, NET_TSO4, NET_TSO6, NET_USO4, NET_USO6 } from '../../../assembly/contract/devices.ts';
import { VmmError } from '../../../base/errors.ts';
import { HostCallError } from '../../host/errno.ts';
import { ffi } from '../../host/ffi.ts';
import { connectUnix, duplicate, interfaceFlags, interfaceUp, isConnected, openTap, setNonBlocking, setTapHeader, setTapOffloads, socketType, tapFlags } from '../../host/net.ts';
import { sockaddr_un } from '../../host/uapi/net.ts';
import { IFF_TAP, IFF_VNET_HDR, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from '../../host/uapi/net.ts';
import { NodeStreamBackend } from './node-stream.ts';
import { startPasst } from './passt.ts';
import type { OpenCable } from './open-cable.ts';
import { type CableSpec, cableName, type PasstSpec } from './spec.ts';
import { CABLE_HEADERS, CABLE_PACKETS, CABLE_STREAM } from './table.ts';
import { openUser } from './user.ts';

/** What the kernel takes for an interface's name, without %, which would make a pattern of it. */
const INTERFACE_NAME = /^[^\s/%:]{1,15}$/;
/** From the best to none: which of them a kernel knows depends on its version. */
const TAP_OFFLOADS = [NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_USO4 | NET_USO6, NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN, NET_CSUM];

/** Opens the other end of a cable, before the machine runs. Throws NET_OPEN, NET_NAME, FFI_MISSING. */
export function openCable(spec: CableSpec): OpenCable {
  if (spec.kind === 'none') throw new VmmError('USAGE', 'a card needs a cable', { hint: 'for one that is plugged in later, see MachineConfig.spareCards' });
  if (spec.kind === 'own') return { offloads: 0, connect: spec.connect, close: () => {} };
  if (spec.kind === 'tap') return openTapCable(spec.name);
  if (spec.kind === 'fd') return spec.copy === true ? copied(spec.fd) : openDescriptor(spec.fd);
  if (spec.kind === 'passt') return openPasst(spec);
  if (spec.kind === 'user') return openUser(spec);
  return openUnix(spec.path);
}

function descriptorCable(kind: number, fd: number, offloads = 0): OpenCable {
  return { offloads, cable: { kind, fd }, close: () => closeSync(fd) };
}

/** `spec` cannot be had because of a call that failed. */
function refused(spec: CableSpec, error: unknown, hints: Readonly<Record<string, string>>): VmmError {
  if (!(error instanceof HostCallError)) return error as VmmError;
  return new VmmError('NET_OPEN', `${cableName(spec)}: ${error.call}: ${error.errnoName}`, { cause: error, hint: hints[error.errnoName] ?? 'see docs/networks.md' });
}

function openTapCable(name: string): OpenCable {
  const spec: CableSpec = { kind: 'tap', name };
  if (!INTERFACE_NAME.test(name)) throw new VmmError('NET_NAME', `tap=${name}: not a name of an interface`, { hint: 'one to fifteen characters, no space, slash, colon or percent sign' });
  needsFfi(spec);
  let fd: number | undefined;
  try {
    const existed = interfaceFlags(name) !== undefined;
    fd = openTap(name, NET_HDR_SIZE);
    const offloads = offloadsOf(fd);
    if (!existed) interfaceUp(name);
    return descriptorCable(CABLE_HEADERS, fd, offloads);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw refused(spec, error, {
      EPERM: `make it for this user: ip tuntap add ${name} mode tap user NAME`,
      EBUSY: 'another process is attached to it: give another tap',
      EINVAL: 'that interface is no tap, or one with several queues: give another name',
      ENOENT: 'there is no /dev/net/tun: load the module tun',
      EACCES: '/dev/net/tun is not for this user',
    });
  }
}

function offloadsOf(tap: number): number {
  const known = TAP_OFFLOADS.find((offloads) => setTapOffloads(tap, offloads)) ?? 0;
  // None in force until the driver has said what it takes.
  setTapOffloads(tap, 0);
  return known;
}

function copied(given: number): OpenCable {
  const fd = duplicate(given);
  try {
    return openDescriptor(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openDescriptor(fd: number): OpenCable {
  const spec: CableSpec = { kind: 'fd', fd };
  try {
    fstatSync(fd);
  } catch (cause) {
    throw new VmmError('NET_OPEN', `fd=${fd}: no such descriptor is open`, { cause, hint: `hand one over: vmm … ${fd}<>FILE, or exec` });
  }
  needsFfi(spec);
  try {
    const flags = tapFlags(fd);
    if (flags !== undefined) return tapDescriptor(fd, flags);
    const type = socketType(fd);
    if (type === undefined) throw new VmmError('NET_OPEN', `fd=${fd}: neither a tap nor a socket`, { hint: 'give the descriptor of one' });
    if (type !== SOCK_STREAM && type !== SOCK_DGRAM && type !== SOCK_SEQPACKET) throw new VmmError('NET_OPEN', `fd=${fd}: a socket of type ${type}`, { hint: 'give a stream, a datagram or a seqpacket socket' });
    if (!isConnected(fd)) throw new VmmError('NET_OPEN', `fd=${fd}: a socket that is connected to nobody`, { hint: 'connect it, or give one that accept(2) or socketpair(2) has made' });
    setNonBlocking(fd);
    return descriptorCable(type === SOCK_STREAM ? CABLE_STREAM : CABLE_PACKETS, fd);
  } catch (error) {
    throw refused(spec, error, {});
  }
}

function tapDescriptor(fd: number, flags: number): OpenCable {
  if ((flags & IFF_TAP) === 0) throw new VmmError('NET_OPEN', `fd=${fd}: a tun, which has no Ethernet frames`, { hint: 'give a tap' });
  setNonBlocking(fd);
  if ((flags & IFF_VNET_HDR) === 0) return descriptorCable(CABLE_PACKETS, fd);
  setTapHeader(fd, NET_HDR_SIZE);
  return descriptorCable(CABLE_HEADERS, fd, offloadsOf(fd));
}

function openPasst(spec: PasstSpec): OpenCable {
  needsFfi(spec);
  const { fd, ready } = startPasst(spec);
  return { ...descriptorCable(CABLE_STREAM, fd), ready };
}

function openUnix(path: string): OpenCable {
  const spec: CableSpec = { kind: 'unix', path };
  if (Buffer.byteLength(path) >= sockaddr_un.sizeof - sockaddr_un.sun_path) throw new VmmError('NET_NAME', `unix=${path}: longer than a socket’s path may be`, { hint: 'at most 107 bytes' });
  if (!hasFfi()) {
    const socket = createConnection(path).pause();
    return { offloads: 0, ready: connected(socket, spec), connect: (events) => new NodeStreamBackend(socket, events), close: () => socket.destroy() };
  }
  try {
    const fd = connectUnix(path);
    setNonBlocking(fd);
    return descriptorCable(CABLE_STREAM, fd);
  } catch (error) {
    throw refused(spec, error, SOCKET_HINTS);
  }
}

const SOCKET_HINTS = {
  ENOENT: 'there is no such socket: start what listens there first',
  ECONNREFUSED: 'nobody listens there',
  EACCES: 'that socket is not for this user',
  EPROTOTYPE: 'that is a socket of another type: give a stream',
};

/** Node connects while it looks away. */
async function connected(socket: Socket, spec: CableSpec): Promise<void> {
  try {
    await once(socket, 'connect');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('NET_OPEN', `${cableName(spec)}: connect: ${code}`, { cause, hint: (SOCKET_HINTS as Readonly<Record<string, string>>)[code] ?? 'see docs/networks.md' });
  }
}

function hasFfi(): boolean {
  try {
    ffi();
    return true;
  } catch (error) {
    if (error instanceof VmmError) return false;
    throw error;
  }
}

function needsFfi(spec: CableSpec): void {
  try {
    ffi();
  } catch (cause) {
    throw new VmmError('FFI_MISSING', `${cableName(spec)}: it needs the FFI library koffi, which cannot be loaded`, { cause, hint: 'unix=PATH does without it' });
  }
}
