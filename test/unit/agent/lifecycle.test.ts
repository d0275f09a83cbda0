import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, truncateSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentSession } from '../../../vmm/agent/index.ts';
import * as P from '../../../vmm/agent/generated/protocol.ts';
import { encodeMessage, FieldWriter, MessageReader, readFields, u32Of } from '../../../vmm/agent/wire.ts';
import { container, finish, Reader, reasonToSkip, sh, startGuest } from './harness.ts';
import { makeScratch } from './scratch.ts';
import { UnixTransport } from './unix-transport.ts';

const skip = reasonToSkip();
const has = (tool: string) => ['/sbin', '/usr/sbin', '/bin', '/usr/bin'].some((directory) => existsSync(join(directory, tool)));
const effective = BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
const CAP_SYS_RESOURCE = 24n;

/** A loop device of a file, given the name of a serial number where init looks for disks in test mode. */
function attachDisk(directory: string, serial: string, file: string, readOnly: boolean): () => void {
  const args = readOnly ? ['-r', '-f', '--show', file] : ['-f', '--show', file];
  const device = execFileSync('losetup', args, { encoding: 'utf8' }).trim();
  mkdirSync(join(directory, 'devices'), { recursive: true });
  symlinkSync(device, join(directory, 'devices', serial));
  return () => {
    execFileSync('losetup', ['-d', device]);
  };
}

describe.skipIf(skip !== undefined)(`init: from start to end${skip === undefined ? '' : ` (${skip})`}`, () => {
  it('shutdown without containers: BYE, exit 0', async () => {
    await using guest = startGuest();
    await guest.session.shutdown('poweroff');
    expect(await guest.exited).toBe(0);
  });

  it.each([['reboot', 10], ['halt', 11]] as const)('shutdown %s: told apart', async (mode, code) => {
    await using guest = startGuest();
    await guest.session.shutdown(mode);
    expect(await guest.exited).toBe(code);
  });

  it('shutdown with a container: its stop signal, its output and status, then the end', async () => {
    await using guest = startGuest();
    const process = guest.session.start(
      container(guest, ['/bin/sh', '-c', 'trap "echo bye; exit 6" USR1; echo ready; while :; do sleep 0.05; done'], { stopSignal: 10 }),
    );
    const reader = new Reader(process);
    process.onStderr(() => {});
    await reader.until('ready');
    await Promise.all([guest.session.shutdown('poweroff'), expect(process.wait()).resolves.toMatchObject({ status: 6 })]);
    expect(reader.text).toBe('ready\nbye\n');
    expect(await guest.exited).toBe(0);
  });

  it('shutdown of a container that does not want to: killed after the time-out', async () => {
    await using guest = startGuest();
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 1000; done']));
    const reader = new Reader(process);
    process.onStderr(() => {});
    await reader.until('ready');
    await Promise.all([guest.session.shutdown('poweroff', 100), expect(process.wait()).resolves.toMatchObject({ status: 137 })]);
    expect(await guest.exited).toBe(0);
  });

  it('shutdown while 5 MB wait for a slow reader: nothing is lost', async () => {
    await using guest = startGuest();
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'dd if=/dev/zero bs=64k count=80 2>/dev/null']));
    let bytes = 0;
    process.onStderr(() => {});
    await process.started;
    const ended = guest.session.shutdown('poweroff');
    process.onStdout(async (chunk) => {
      bytes += chunk.length;
      await new Promise((resolve) => setTimeout(resolve, 1));
    });
    expect((await process.wait()).status).toBe(0);
    await ended;
    expect(bytes).toBe(80 * 65536);
  });

  it('the host goes away: init gives up', async () => {
    await using guest = startGuest();
    await guest.session.hello();
    guest.session.close();
    expect(await guest.exited).toBe(1);
    expect(guest.console()).toContain('vmm-init: the control connection to the host is lost');
  });

  it('init is killed: waiting calls reject', async () => {
    await using guest = startGuest();
    const process = guest.session.start(container(guest, ['sleep', '1000']));
    await process.started;
    guest.child.kill('SIGKILL');
    await expect(process.wait()).rejects.toMatchObject({ code: expect.stringMatching(/^AGENT_(LOST|CLOSED)$/) });
    await expect(guest.session.ping()).rejects.toMatchObject({ code: expect.stringMatching(/^AGENT_/) });
  });

  it.skipIf(!has('mkfs.erofs') || !has('losetup'))('root from an EROFS disk by its serial, which comes late', async () => {
    await using guest = startGuest();
    const image = join(guest.directory, 'root.erofs');
    execFileSync('mkfs.erofs', ['-T0', image, guest.root], { stdio: 'ignore' });
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'cat /etc/group | head -1; touch /x && echo rw; head -1 /proc/mounts | cut -d " " -f 3'], {
      root: { kind: 'block', serial: 'root-disk', fstype: 'erofs' },
    }));
    await guest.session.ping();
    const detach = attachDisk(guest.directory, 'root-disk', image, true);
    try {
      await guest.session.diskAttached('root-disk');
      expect((await finish(process)).stdout).toMatch(/^root:x:0:\nrw\n/);
      // A second container shares the mounted disk.
      expect((await sh(guest, 'echo two', { root: { kind: 'block', serial: 'root-disk', fstype: 'erofs' } })).stdout).toBe('two\n');
      await guest.session.diskDetaching('root-disk');
      await guest.session.shutdown('poweroff');
      await guest.exited;
    } finally {
      detach();
    }
  });

  const noGrow = (effective >> CAP_SYS_RESOURCE & 1n) === 0n ? 'growing ext4 needs CAP_SYS_RESOURCE' : undefined;
  it.skipIf(!has('losetup') || noGrow !== undefined)(`scratch disk: the seed grows to 64 GiB, stays sparse, is clean at the end${noGrow === undefined ? '' : ` (${noGrow})`}`, async () => {
    await using guest = startGuest();
    const file = join(guest.directory, 'scratch.ext4');
    makeScratch(file);
    execFileSync('fallocate', ['--dig-holes', file]);
    truncateSync(file, 64 * 2 ** 30);
    const detach = attachDisk(guest.directory, 'scratch', file, false);
    try {
      const result = await sh(guest, 'df -m / | tail -1; echo kept >/kept', { overlay: { kind: 'block', serial: 'scratch' } });
      expect(Number(result.stdout.split(/\s+/)[1])).toBeGreaterThan(62_000);
      await guest.session.shutdown('poweroff');
      await guest.exited;
    } finally {
      detach();
    }
    expect(statSync(file).blocks * 512).toBeLessThan(64 * 2 ** 20);
    execFileSync('e2fsck', ['-fn', file], { stdio: 'ignore' });
  });

  it('100 containers one after the other: no descriptor, mount or cgroup is left', async () => {
    await using guest = startGuest();
    await guest.session.hello();
    const children = readFileSync(`/proc/${guest.child.pid}/task/${guest.child.pid}/children`, 'utf8').trim();
    const state = () => ({
      fds: readdirSync(`/proc/${children}/fd`).length,
      mounts: readFileSync(`/proc/${children}/mounts`, 'utf8').split('\n').length,
      cgroups: guest.cgroup === undefined ? 0 : readdirSync(guest.cgroup).filter((name) => name.startsWith('c') && /^c\d+$/.test(name)).length,
    });
    await sh(guest, 'true');
    await guest.session.ping();
    // The first one's streams linger until this side has closed them.
    let before = state();
    for (let last = 0; last !== before.fds; before = state()) {
      last = before.fds;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    for (let i = 0; i < 100; i++) expect((await sh(guest, `exit ${i}`)).status.status).toBe(i);
    await expect.poll(state).toEqual(before);
  });
});

/** A guest that speaks the protocol by hand. */
class FakeGuest {
  readonly control: Socket;
  readonly directory: string;
  readonly messages: { type: number; flags: number; id: number; payload: Uint8Array }[] = [];
  #waiting: (() => void)[] = [];

  constructor(directory: string) {
    this.directory = directory;
    this.control = connect(join(directory, String(P.PORT_CONTROL)));
    this.control.on('error', () => {});
    const reader = new MessageReader(P.MAX_REQUEST);
    this.control.on('data', (chunk) => {
      this.messages.push(...reader.push(chunk));
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  hello(version = [1, 1]): void {
    const w = new FieldWriter().u16(P.TAG_VERSION, ...version);
    this.control.write(encodeMessage(P.MSG_HELLO, 0, 0, w.finish()));
  }

  async message(type: number): Promise<{ id: number; payload: Uint8Array }> {
    for (;;) {
      const found = this.messages.find((message) => message.type === type);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  stream(header: Uint8Array): Socket {
    const socket = connect(join(this.directory, String(P.PORT_STREAM)));
    socket.on('error', () => {});
    socket.write(header);
    return socket;
  }

  header(token: Uint8Array, process: number, stream: number): Uint8Array {
    const bytes = new Uint8Array(P.STREAM_HEADER_SIZE);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, P.STREAM_MAGIC, true);
    view.setUint16(4, 1, true);
    view.setUint16(6, stream, true);
    view.setUint32(8, process, true);
    bytes.set(token, 16);
    return bytes;
  }
}

function closed(socket: Socket): Promise<void> {
  socket.resume();
  return new Promise((resolve) => {
    socket.on('close', () => resolve());
  });
}

async function withFake(body: (session: AgentSession, guest: FakeGuest) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'vmm-fake-'));
  const session = new AgentSession(new UnixTransport(directory));
  try {
    await body(session, new FakeGuest(directory));
  } finally {
    session.close();
    rmSync(directory, { recursive: true });
  }
}

const spec = { args: ['x'], env: [], root: { kind: 'directory', path: '/r' } as const };

describe('session: a change of a container’s mounts', () => {
  const change = (session: AgentSession, signal?: AbortSignal) => session.changeMount(1, { target: '/x', source: { kind: 'share', tag: 'vmm' } }, 'add', signal);
  const asked = async (guest: FakeGuest) => {
    const { id, payload } = await guest.message(P.MSG_EXEC);
    const process = u32Of(readFields(payload).find(({ tag }) => tag === P.TAG_PROCESS)!);
    const fields = () => new FieldWriter().u32(P.TAG_PROCESS, process);
    guest.control.write(encodeMessage(P.MSG_EXEC, P.FLAG_REPLY, id, fields().u32(P.TAG_PID, 9).finish()));
    return { process, ends: (kind: number, value: number) => {
      const bytes = new Uint8Array(16);
      guest.control.write(encodeMessage(P.MSG_EXIT, 0, 0, fields().u32(P.TAG_STATUS, kind, value, 0).bytes(P.TAG_BYTES, bytes).u32(P.TAG_STREAMS, 0).finish()));
    } };
  };

  it.each([['exit 0', P.STATUS_EXITED, 0, true], ['killed', P.STATUS_SIGNALED, 9, false], ['another status', P.STATUS_EXITED, 124, false]] as const)('%s', async (_name, kind, value, done) => {
    await withFake(async (session, guest) => {
      guest.hello();
      const changed = change(session);
      (await asked(guest)).ends(kind, value);
      await (done ? expect(changed).resolves.toBeUndefined() : expect(changed).rejects.toMatchObject({ code: 'AGENT_MOUNT' }));
    });
  });

  it('unwanted: its process is ended', async () => {
    await withFake(async (session, guest) => {
      guest.hello();
      const unwanted = new AbortController();
      const changed = change(session, unwanted.signal);
      const { process, ends } = await asked(guest);
      unwanted.abort();
      const fields = readFields((await guest.message(P.MSG_SIGNAL)).payload);
      expect([P.TAG_PROCESS, P.TAG_SIGNAL].map((tag) => u32Of(fields.find((field) => field.tag === tag)!))).toEqual([process, 9]);
      ends(P.STATUS_SIGNALED, 9);
      await expect(changed).rejects.toMatchObject({ code: 'AGENT_MOUNT' });
    });
  });

  it('a disk is asked for once', async () => {
    await withFake(async (session, guest) => {
      guest.hello();
      const seen = session.diskAttached('disk');
      const { id } = await guest.message(P.MSG_SLOT);
      // Longer than it once took to ask again.
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(guest.messages.filter(({ type }) => type === P.MSG_SLOT)).toHaveLength(1);
      guest.control.write(encodeMessage(P.MSG_SLOT, P.FLAG_REPLY, id, new Uint8Array(0)));
      await seen;
    });
  });
});

describe('session: a guest that does not keep the protocol', () => {
  it.each([
    ['a message that is too long', new Uint8Array([0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0])],
    ['a field that is longer than its message', encodeMessage(P.MSG_HELLO, 0, 0, new Uint8Array([1, 0, 0, 0, 9, 0, 0, 0]))],
    ['HELLO without a version', encodeMessage(P.MSG_HELLO, 0, 0, new Uint8Array(0))],
    ['EXIT of an unknown process', encodeMessage(P.MSG_EXIT, 0, 0, new FieldWriter().u32(P.TAG_PROCESS, 77).finish())],
  ])('%s: the session ends with AGENT_PROTOCOL', async (_name, bytes) => {
    await withFake(async (session, guest) => {
      guest.control.write(bytes);
      await session.closed;
      await expect(session.hello()).rejects.toMatchObject({ code: 'AGENT_PROTOCOL' });
      await expect(session.start(spec).wait()).rejects.toMatchObject({ code: 'AGENT_PROTOCOL' });
    });
  });

  it('another version: refused with both versions named', async () => {
    await withFake(async (session, guest) => {
      guest.hello([2, 3]);
      await expect(session.hello()).rejects.toMatchObject({ code: 'AGENT_PROTOCOL', message: expect.stringContaining('versions 2 to 3, this host 1 to 1') });
    });
  });

  it('unknown events and replies: ignored', async () => {
    await withFake(async (session, guest) => {
      guest.control.write(encodeMessage(0x7fff, 0, 0, new Uint8Array(0)));
      guest.control.write(encodeMessage(0x7fff, P.FLAG_REPLY, 1234, new Uint8Array(0)));
      guest.hello();
      expect((await session.hello()).version).toBe(1);
    });
  });

  it('a second control connection: dropped, the first goes on', async () => {
    await withFake(async (session, guest) => {
      guest.hello();
      await session.hello();
      await closed(connect(join(guest.directory, String(P.PORT_CONTROL))));
      const ping = session.ping();
      const { id } = await guest.message(P.MSG_PING);
      guest.control.write(encodeMessage(P.MSG_PING, P.FLAG_REPLY, id, new Uint8Array(0)));
      await ping;
    });
  });

  it('FATAL with control characters: the reason, made harmless', async () => {
    await withFake(async (session, guest) => {
      guest.hello();
      const process = session.start(spec);
      await guest.message(P.MSG_START);
      guest.control.write(encodeMessage(P.MSG_FATAL, 0, 0, new FieldWriter().string(P.TAG_TEXT, 'bad \u001b[2J').finish()));
      await expect(process.wait()).rejects.toMatchObject({ code: 'AGENT_FATAL', message: "the guest's init gave up: bad ?[2J" });
    });
  });

  it('streams: a wrong token, magic, process or number is dropped; the right one delivers, once', async () => {
    await withFake(async (session, guest) => {
      guest.hello();
      const process = session.start({ ...spec, stderr: false });
      const reader = new Reader(process);
      const token = readFields((await guest.message(P.MSG_HELLO)).payload).find((field) => field.tag === P.TAG_TOKEN)?.value as Uint8Array;
      const started = readFields((await guest.message(P.MSG_START)).payload);
      const id = u32Of(started.find((field) => field.tag === P.TAG_PROCESS) as never);
      await closed(guest.stream(guest.header(new Uint8Array(16), id, 1)));
      await closed(guest.stream(guest.header(token, id + 1, 1)));
      await closed(guest.stream(guest.header(token, id, 2)));
      await closed(guest.stream(guest.header(token, id, 9)));
      await closed(guest.stream(guest.header(token, id, 1).fill(0, 0, 4)));
      const good = guest.stream(guest.header(token, id, 1));
      good.write('hello');
      await reader.until('hello');
      await closed(guest.stream(guest.header(token, id, 1)));
    });
  });

  it('EXIT whose count is higher than what came: AGENT_OUTPUT_LOST', async () => {
    await withFake(async (session, guest) => {
      guest.hello();
      const process = session.start({ ...spec, stderr: false });
      process.onStdout(() => {});
      const token = readFields((await guest.message(P.MSG_HELLO)).payload).find((field) => field.tag === P.TAG_TOKEN)?.value as Uint8Array;
      await guest.message(P.MSG_START);
      guest.stream(guest.header(token, process.id, 1)).end('abc');
      const exit = new FieldWriter().u32(P.TAG_PROCESS, process.id).u32(P.TAG_STATUS, 0, 0, 0).u64(P.TAG_BYTES, 4n, 0n).u32(P.TAG_STREAMS, 2);
      guest.control.write(encodeMessage(P.MSG_EXIT, 0, 0, exit.finish()));
      await expect(process.wait()).rejects.toMatchObject({ code: 'AGENT_OUTPUT_LOST' });
    });
  });

  it('5,000 connections that say nothing: bounded, and a good stream still works', async () => {
    await withFake(async (session, guest) => {
      guest.hello();
      const process = session.start({ ...spec, stderr: false });
      const reader = new Reader(process);
      const token = readFields((await guest.message(P.MSG_HELLO)).payload).find((field) => field.tag === P.TAG_TOKEN)?.value as Uint8Array;
      await guest.message(P.MSG_START);
      let dropped = 0;
      const sockets: Socket[] = [];
      for (let i = 0; i < 5000; i++) {
        const socket = connect(join(guest.directory, String(P.PORT_STREAM)));
        socket.on('error', () => {});
        socket.on('close', () => dropped++);
        socket.resume();
        sockets.push(socket);
        if (i % 200 === 199) await new Promise((resolve) => setImmediate(resolve));
      }
      guest.stream(guest.header(token, process.id, 1)).write('through');
      await reader.until('through');
      await expect.poll(() => dropped).toBeGreaterThan(3000);
      for (const socket of sockets) socket.destroy();
    });
  });
});
