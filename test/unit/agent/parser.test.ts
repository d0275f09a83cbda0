import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerSpec, encodeExec, encodeStart, type Mount, type ProcessSpec, stdioBits } from '../../../vmm/agent/spec.ts';
import { PROJECT } from './harness.ts';

const skip = existsSync('/usr/bin/gcc') ? undefined : 'needs gcc';
const SOURCES = join(PROJECT, 'guest-kernel/init');

const hex = (value: string | Uint8Array) => Buffer.from(value as never).toString('hex');
const text = (name: string, value: string | undefined) => ` ${name}=${value === undefined ? '-' : hex(value)}`;
const list = (name: string, values: readonly string[] | undefined) => ` ${name}=[${(values ?? []).map((value) => `${hex(value)},`).join('')}]`;

/** What the driver prints for a process: written from the specification, not from the parser. */
function processLine(container: number, process: number, p: ProcessSpec): string {
  let line = `container=${container} process=${process}`;
  line += list('args', p.args) + list('env', p.env) + list('groups', p.groups) + text('cwd', p.cwd) + text('user', p.user);
  line += ` stdio=${stdioBits(p)}`;
  if (p.size !== undefined) line += ` size=${p.size.rows},${p.size.columns},${p.size.xPixels ?? 0},${p.size.yPixels ?? 0}`;
  if (p.capabilities !== undefined) {
    const c = p.capabilities;
    line += ` caps=${[c.bounding, c.effective, c.permitted, c.inheritable, c.ambient].map((mask) => mask.toString(16)).join(',')}`;
  }
  line += ` nnp=${p.noNewPrivileges === true ? 1 : 0}`;
  for (const limit of p.rlimits ?? []) line += ` rlimit=${limit.resource},${limit.soft},${limit.hard}`;
  if (p.seccomp !== undefined) line += ` seccomp=${p.seccomp.flags ?? 0},${hex(p.seccomp.program)}`;
  return `${line} oom=${p.oomScoreAdj ?? 0} umask=${(p.umask ?? 0o022).toString(8)}`;
}

const KINDS = { block: 1, share: 2, volume: 3, directory: 4, root: 5 } as const;

function mountLine(name: string, m: Omit<Mount, 'target'> & { target?: string }): string {
  const s = m.source;
  const source = s === undefined ? m.device : s.kind === 'block' ? s.serial : s.kind === 'share' ? s.tag : s.kind === 'volume' ? s.name : s.path;
  const fstype = s === undefined ? m.fstype : s.kind === 'block' ? s.fstype : s.kind === 'share' ? (s.fstype ?? 'virtiofs') : undefined;
  const data = s === undefined ? m.data : 'data' in s ? s.data : undefined;
  let line = ` ${name}={kind=${s === undefined ? 0 : KINDS[s.kind]}`;
  line += text('source', source) + text('fstype', fstype) + text('target', m.target) + text('data', data) + text('subpath', m.subpath);
  return `${line} flags=${m.flags ?? 0} mode=${(m.mode ?? 0).toString(8)}}`;
}

function containerLine(container: number, process: number, c: ContainerSpec): string {
  let line = processLine(container, process, c);
  const { subpath, readOnly, ...source } = c.root;
  line += mountLine('root', { source, ...(subpath === undefined ? {} : { subpath }), flags: readOnly === true ? 1 : 0 });
  if (c.overlay?.kind === 'tmpfs') line += ` overlay=0,${c.overlay.size ?? 0n}${text('upper', undefined)}`;
  if (c.overlay?.kind === 'block') line += ` overlay=${c.overlay.kept === true ? 2 : 1},0${text('upper', c.overlay.serial)}`;
  line += ` ro=${c.readOnly === true ? 1 : 0} reaper=${c.init === true ? 1 : 0} sandbox=0 stop=${c.stopSignal ?? 15}`;
  for (const mount of c.mounts ?? []) line += mountLine('mount', mount);
  for (const f of c.files ?? []) {
    line += `${text('file', f.target)},${(f.mode ?? 0o644).toString(8)},${f.uid ?? 0},${f.gid ?? 0},${f.ifAbsent === true ? 1 : 0},${hex(f.content)}`;
  }
  for (const d of c.devices ?? []) line += `${text('device', d.target)},${d.type},${d.major},${d.minor},${(d.mode ?? 0o666).toString(8)}`;
  line += text('hostname', c.hostname) + text('domain', c.domain);
  line += list('masked', c.maskedPaths) + ` closed=${c.maskedClosed === true ? 1 : 0}` + list('readonly', c.readonlyPaths) + list('sysctls', c.sysctls) + list('cgroup', c.cgroup);
  for (const name of ['pid', 'uts', 'ipc', 'cgroup', 'net'] as const) {
    const choice = c.namespaces?.[name] ?? (name === 'net' ? 'vm' : 'new');
    line += choice === 'new' ? ' ns=0,0' : choice === 'vm' ? ' ns=1,0' : ` ns=2,${choice.container}`;
  }
  return line;
}

const word = fc.string({ maxLength: 20, unit: 'grapheme' }).filter((s) => !s.includes('\0'));
const path = word.map((s) => `/${s}`);
const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
/** exactOptionalPropertyTypes: a key with undefined is another thing than no key. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model).map((value) => Object.fromEntries(Object.entries(value as object).filter(([, v]) => v !== undefined)) as never);

const processModel = {
  args: fc.array(word, { minLength: 1, maxLength: 5 }).filter((args) => args[0] !== ''),
  env: fc.array(word, { maxLength: 5 }),
  cwd: optional(path),
  user: optional(word),
  groups: optional(fc.array(word, { maxLength: 3 })),
  stdin: optional(fc.boolean()),
  stdout: optional(fc.boolean()),
  stderr: optional(fc.boolean()),
  tty: optional(fc.boolean()),
  size: optional(fc.record({ rows: fc.nat(65535), columns: fc.nat(65535) })),
  capabilities: optional(fc.record({ bounding: u64, effective: u64, permitted: u64, inheritable: u64, ambient: u64 })),
  noNewPrivileges: optional(fc.boolean()),
  rlimits: optional(fc.array(fc.record({ resource: fc.nat(15), soft: u64, hard: u64 }), { maxLength: 16 })),
  seccomp: optional(fc.record({ program: fc.integer({ min: 1, max: 9 }).chain((n) => fc.uint8Array({ minLength: 8 * n, maxLength: 8 * n })), flags: u32 })),
  oomScoreAdj: optional(fc.integer({ min: -1000, max: 1000 })),
  umask: optional(fc.nat(0o777)),
};
const source = fc.oneof(
  fc.record({ kind: fc.constant('block' as const), serial: word.filter((s) => s !== ''), fstype: fc.constant('erofs') }),
  fc.record({ kind: fc.constant('share' as const), tag: word.filter((s) => s !== ''), data: word }),
  fc.record({ kind: fc.constant('volume' as const), name: word.filter((s) => s !== '') }),
  fc.record({ kind: fc.constant('directory' as const), path }),
);
const mount = record({
  target: path,
  source: optional(source),
  fstype: fc.constant('tmpfs'),
  device: optional(word),
  data: optional(word),
  subpath: optional(word),
  flags: optional(fc.nat(0x1fffff)),
  mode: optional(fc.nat(0o7777)),
});
const containerSpec = record({
  ...processModel,
  root: fc.tuple(source, optional(word), fc.boolean()).map(([s, subpath, readOnly]) => ({ ...s, ...(subpath === undefined ? {} : { subpath }), readOnly })),
  overlay: optional(fc.oneof(fc.record({ kind: fc.constant('tmpfs'), size: u64 }), fc.record({ kind: fc.constant('block'), serial: word, kept: fc.boolean() }))),
  readOnly: optional(fc.boolean()),
  mounts: optional(fc.array(mount, { maxLength: 4 })),
  files: optional(fc.array(record({ target: path, content: word, mode: optional(fc.nat(0o7777)), uid: optional(u32), ifAbsent: optional(fc.boolean()) }), { maxLength: 3 })),
  devices: optional(fc.array(record({ target: path, type: fc.constantFrom('c', 'b', 'p'), major: u32, minor: u32, mode: optional(fc.nat(0o7777)) }), { maxLength: 3 })),
  hostname: optional(word.filter((s) => Buffer.byteLength(s) <= 64)),
  domain: optional(word.filter((s) => Buffer.byteLength(s) <= 64)),
  maskedPaths: optional(fc.array(word, { maxLength: 3 })),
  maskedClosed: optional(fc.boolean()),
  readonlyPaths: optional(fc.array(word, { maxLength: 3 })),
  sysctls: optional(fc.array(word, { maxLength: 3 })),
  cgroup: optional(fc.array(word, { maxLength: 3 })),
  namespaces: optional(record({ pid: optional(fc.oneof(fc.constantFrom('new', 'vm'), fc.record({ container: u32 }))), net: optional(fc.constantFrom('new', 'vm')) })),
  init: optional(fc.boolean()),
  stopSignal: optional(fc.integer({ min: 1, max: 64 })),
}) as fc.Arbitrary<ContainerSpec>;
const processSpec = record(processModel) as fc.Arbitrary<ProcessSpec>;

describe.skipIf(skip !== undefined)(`init's parser, with sanitizers${skip === undefined ? '' : ` (${skip})`}`, () => {
  let directory: string;
  let driver: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'vmm-parser-'));
    driver = join(directory, 'driver');
    const files = [join(PROJECT, 'test/unit/agent/parser-driver.c'), ...['fields.c', 'spec.c', 'wire.c'].map((name) => join(SOURCES, name))];
    execFileSync('gcc', ['-std=gnu11', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-I', SOURCES, '-o', driver, ...files]);
  }, 60_000);
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  /** One line for each payload; fails when the driver dies. */
  function parse(cases: { kind: 0 | 1; payload: Uint8Array }[]): string[] {
    const input = Buffer.concat(
      cases.flatMap(({ kind, payload }) => {
        const head = Buffer.alloc(5);
        head.writeUInt8(kind, 0);
        head.writeUInt32LE(payload.length, 1);
        return [head, payload];
      }),
    );
    const result = spawnSync(driver, { input, maxBuffer: 1 << 28, encoding: 'utf8' });
    expect(result.stderr).toBe('');
    expect(result.status).toBe(0);
    return result.stdout.split('\n').slice(0, -1);
  }

  it('START and EXEC: the guest reads what the host wrote, 500 random specs each', () => {
    const starts = fc.sample(containerSpec, 500);
    const lines = parse(starts.map((spec, i) => ({ kind: 0, payload: encodeStart(i + 1, 2, spec).finish() })));
    starts.forEach((spec, i) => {
      expect(lines[i]).toBe(containerLine(i + 1, 2, spec));
    });
    const execs = fc.sample(processSpec, 500);
    const execLines = parse(execs.map((spec, i) => ({ kind: 1, payload: encodeExec(7, i + 1, spec).finish() })));
    execs.forEach((spec, i) => {
      expect(execLines[i]).toBe(processLine(7, i + 1, spec));
    });
  }, 60_000);

  it('4,000 damaged payloads: understood or refused, never a bad access', () => {
    const damage = fc.array(fc.record({ at: fc.nat(), value: fc.nat(255), how: fc.constantFrom('set', 'insert', 'delete', 'cut') }), { minLength: 1, maxLength: 6 });
    const specs = fc.sample(containerSpec, 200).map((spec) => encodeStart(1, 2, spec).finish());
    const cases = fc.sample(fc.tuple(fc.nat(199), damage, fc.constantFrom(0 as const, 1 as const)), 4000).map(([which, edits, kind]) => {
      let bytes: number[] = [...(specs[which] as Uint8Array)];
      for (const { at, value, how } of edits) {
        const index = at % (bytes.length + 1);
        if (how === 'set' && index < bytes.length) bytes[index] = value;
        else if (how === 'insert') bytes.splice(index, 0, value);
        else if (how === 'delete') bytes.splice(index, 1);
        else if (how === 'cut') bytes = bytes.slice(0, index);
      }
      return { kind, payload: Uint8Array.from(bytes) };
    });
    const lines = parse(cases);
    expect(lines.length).toBe(cases.length);
    const refused = lines.filter((line) => line.startsWith('error '));
    expect(refused.length).toBeGreaterThan(500);
    expect(lines.length - refused.length).toBeGreaterThan(20);
  }, 60_000);

  it('4,000 payloads of random bytes', () => {
    const cases = fc.sample(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0 as const, 1 as const)), 4000).map(([payload, kind]) => ({ kind, payload }));
    expect(parse(cases).length).toBe(cases.length);
  }, 60_000);

  it.each([
    ['an unknown field that must be understood', [0xff, 0x7f, 0, 0, 0, 0, 0, 0], 'error 3 field 0x7fff is not known in this place'],
    ['reserved bits in a field', [0x20, 0, 1, 0, 0, 0, 0, 0], "error 4 the request's fields are malformed"],
    ['a field beyond the end', [0x20, 0, 0, 0, 1, 0, 0, 0], "error 4 the request's fields are malformed"],
    ['an unknown optional field alone', [0xff, 0xff, 0, 0, 0, 0, 0, 0], 'error 4 container and process must have numbers above 0'],
  ])('%s', (_name, bytes, expected) => {
    expect(parse([{ kind: 1, payload: Uint8Array.from(bytes) }])).toEqual([expected]);
  });
});
