/** The pod's side of its socket. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { EXIT, FAILED, DONE, FrameReader, frame, number32, REQUEST, type Request, RESIZE, SIGNAL, SOCKET, STDERR, STDIN, STDOUT, VERSION } from '../control/frames.ts';
import { oneLine } from '../common/failure.ts';
import type { Wanted } from './attachments.ts';
import { sent } from '../../vmm/api/frames.ts';
import type { ProcessHandle } from '../../vmm/api/containers.ts';
import type { PodRun } from '../../vmm/api/pods.ts';

const MAX_CLIENTS = 64;
const GRACE_MS = 1000;
const KINDS = ['exec', 'attach', 'stop', 'app-add', 'app-start', 'app-stop', 'app-rm'];

export interface Commands {
  stop(): void;
  attach(app: string, wanted: Wanted, socket: Socket): ProcessHandle | undefined;
  app(kind: 'app-add' | 'app-start' | 'app-stop' | 'app-rm', name: string): Promise<void>;
}

/** Listens; resolves when clients can connect. */
export async function listen(pod: PodRun, commands: Commands): Promise<{ close(): void }> {
  rmSync(SOCKET, { force: true });
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.once('close', () => clients.delete(socket));
    serve(socket, pod, commands);
  });
  server.maxConnections = MAX_CLIENTS;
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(SOCKET, resolve);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(SOCKET, 0o600);
  // One client less, at worst.
  server.on('error', () => {});
  return {
    close: () => {
      server.close();
      // A client that does not read must not keep the pod's lock; who reads has a second for the last that was sent.
      const rest = setTimeout(() => clients.forEach((socket) => socket.destroy()), GRACE_MS);
      if (clients.size === 0) clearTimeout(rest);
    },
  };
}

function serve(socket: Socket, pod: PodRun, commands: Commands): void {
  const reader = new FrameReader();
  let running: ProcessHandle | undefined;
  let asked = false;
  socket.on('error', () => {});
  let own = false;
  /** What comes while the app is still being started: of one chunk, since no more is read then. */
  let held: { kind: number; payload: Buffer }[] | undefined;
  const start = async (request: Request & { kind: 'exec' }): Promise<void> => {
    held = [];
    socket.pause();
    // rkt asks as soon as there is a process.
    await pod.settled(request.app);
    if (socket.destroyed) return;
    running = exec(socket, pod, request);
    own = true;
    for (const { kind, payload } of held) input(socket, running, kind, payload);
    held = undefined;
    socket.resume();
  };
  // A command of its client's ends with it; an app does not.
  socket.on('close', () => {
    if (own) void running?.signal(SIGHUP).catch(() => {});
  });
  const fail = (error: unknown): void => void socket.end(frame(FAILED, Buffer.from(oneLine((error as Error).message))));
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const { kind, payload } of reader.push(chunk)) {
        if (!asked) {
          if (kind !== REQUEST) throw new RangeError('the first frame is no request');
          asked = true;
          const request = parseRequest(payload);
          if (request.kind === 'exec') start(request).catch(fail);
          else if (request.kind === 'attach') {
            running = commands.attach(request.app, request, socket);
            void running?.resize({ rows: request.rows, columns: request.columns }).catch(() => {});
          }
          else void answer(request, commands).then(() => socket.end(frame(DONE)), fail);
        } else if (held !== undefined) held.push({ kind, payload: Buffer.from(payload) });
        else if (running !== undefined && (own || kind !== SIGNAL)) input(socket, running, kind, payload);
      }
    } catch (error) {
      fail(error);
    }
  });
}

function parseRequest(payload: Buffer): Request {
  const request = JSON.parse(payload.toString()) as Request;
  if (request.version !== VERSION) throw new RangeError(`this pod’s stage1 speaks version ${VERSION} of its protocol, not ${String(request.version).slice(0, 10)}`);
  if (!KINDS.includes(request.kind)) throw new RangeError('this pod’s stage1 does not know that request');
  return request;
}

async function answer(request: Exclude<Request, { kind: 'exec' | 'attach' }>, commands: Commands): Promise<void> {
  if (request.kind === 'stop') commands.stop();
  else await commands.app(request.kind, request.app);
}

/** A command in an app, with the app's own environment, user root, and the app's limits. */
function exec(socket: Socket, pod: PodRun, { app, args, tty, rows, columns, term }: Request & { kind: 'exec' }): ProcessHandle {
  const handle = pod.exec(app, (spec) => ({
    args,
    env: [...spec.env.filter((line) => !line.startsWith('TERM=')), `TERM=${term ?? 'vt100'}`],
    cwd: '/',
    user: '0:0',
    ...(spec.capabilities === undefined ? {} : { capabilities: { ...spec.capabilities, effective: spec.capabilities.bounding, permitted: spec.capabilities.bounding } }),
    ...(spec.seccomp === undefined ? {} : { seccomp: spec.seccomp }),
    stdin: true,
    tty,
    size: { rows, columns },
  }));
  handle.onStdout((bytes) => sent(socket, frame(STDOUT, bytes)));
  handle.onStderr((bytes) => sent(socket, frame(STDERR, bytes)));
  handle.wait().then(
    ({ status }) => socket.end(frame(EXIT, number32(status))),
    (error: unknown) => socket.end(frame(FAILED, Buffer.from(oneLine((error as Error).message)))),
  );
  return handle;
}

function input(socket: Socket, process: ProcessHandle, kind: number, payload: Buffer): void {
  const ignore = (): void => {};
  if (kind === STDIN && payload.length === 0) process.stdin.end();
  else if (kind === STDIN) {
    socket.pause();
    void Promise.resolve(process.stdin.write(Uint8Array.from(payload))).catch(ignore).finally(() => socket.resume());
  } else if (kind === RESIZE) process.resize({ rows: payload.readUInt16LE(0), columns: payload.readUInt16LE(2) }).catch(ignore);
  else if (kind === SIGNAL) process.signal(payload.readUInt32LE(0)).catch(ignore);
}

const SIGHUP = 1;
