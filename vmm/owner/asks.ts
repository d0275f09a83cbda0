import type { Ask } from './protocol.ts';

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const MAX_SECONDS = 1e6;
/** Of one card: more than anybody gives it. */
const MAX_ADDRESSES = 64;
const isText: Check = (value) => typeof value === 'string' && !value.includes('\0');
const isFlag: Check = (value) => typeof value === 'boolean';
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const whole = (least: number, most: number): Check => (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
const maybe = (check: Check): Check => (value) => value === undefined || check(value);
const isSize: Check = (value) => typeof value === 'object' && value !== null && matches(value as Fields, { rows: whole(0, 65_534), columns: whole(0, 65_535) });

const isId: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const isShares: Check = (value) => Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null && matches(each as Fields, { name: isText, path: isText, readOnly: isFlag }));

const isRestart: Check = (value) => typeof value === 'object' && value !== null && matches(value as Fields, { name: (name) => ['no', 'on-failure', 'always', 'unless-stopped'].includes(name as string), most: whole(0, 1e9) });

const isOneOf = (...words: readonly unknown[]): Check => (value) => words.includes(value);
const fields = (checks: Readonly<Record<string, Check>>): Check => (value) => typeof value === 'object' && value !== null && matches(value as Fields, checks);
const some = (check: Check): Check => (value) => Array.isArray(value) && value.length <= MAX_ADDRESSES && value.every(check);
const isAddress = fields({ address: isText, prefix: whole(0, 128) });

/** What each device has that a container is given. */
const DEVICES: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  mount: { source: isText, volume: maybe(isText), target: isText, readOnly: isFlag, recursive: isFlag, cache: isOneOf('none', 'auto', 'always'), quota: maybe(whole(0, Number.MAX_SAFE_INTEGER)) },
  disk: { source: isText, target: isText, readOnly: isFlag, format: isOneOf('ext4', 'erofs') },
  card: { network: isText, addresses: some(isAddress), routes: some(fields({ to: isAddress, gateway: maybe(isText) })), mtu: maybe(whole(68, 65_535)) },
};
const isDevice: Check = (value) => fields({ kind: isOneOf(...Object.keys(DEVICES)) })(value) && matches(value as Fields, DEVICES[(value as Fields)['kind'] as string] as Readonly<Record<string, Check>>);
const isToken: Check = (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);

/** What each request has. */
const ASKS: Readonly<Record<Ask['ask'], Readonly<Record<string, Check>>>> = {
  wait: {},
  signal: { signal: whole(1, 64) },
  stop: { seconds: whole(0, MAX_SECONDS), keep: maybe(isFlag) },
  pause: {},
  resume: {},
  hold: {},
  update: { cgroup: isTexts, memory: maybe(whole(0, 2 ** 40)), restart: maybe(isRestart) },
  plug: { token: isToken, device: isDevice },
  unplug: { device: isText, force: isFlag },
  stats: {},
  builtin: { args: isTexts, stdin: isFlag, user: maybe(isText) },
  exec: { args: isTexts, env: isTexts, user: maybe(isText), cwd: maybe(isText), privileged: isFlag, stdin: isFlag, tty: isFlag, detach: isFlag, size: maybe(isSize) },
  attach: { stdin: isFlag, size: maybe(isSize) },
  join: { id: isId, spec: isText, token: isToken, root: isText, changes: maybe(isText), shares: isShares, seconds: whole(0, MAX_SECONDS) },
  inside: { id: isId, what: (what) => ['exec', 'pause', 'resume', 'stats', 'sync', 'update'].includes(what as string), spec: maybe(isText), cgroup: maybe(isTexts) },
};

function matches(value: Fields, checks: Readonly<Record<string, Check>>): boolean {
  return Object.entries(checks).every(([name, check]) => check(value[name]));
}

/** What a client's line asks, once it is known to be one of these; undefined for all else. */
export function askOf(value: unknown): Ask | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const name = (value as Fields)['ask'];
  if (typeof name !== 'string' || !Object.hasOwn(ASKS, name)) return undefined;
  return matches(value as Fields, ASKS[name as Ask['ask']]) ? (value as Ask) : undefined;
}
