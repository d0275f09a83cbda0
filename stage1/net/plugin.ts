/** CNI plugins: programs that are told what to do by their environment, and answer in JSON (CNI specification 0.3 to 1.0, "Execution protocol"). */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { Failure, oneLine } from '../common/failure.ts';
import { ownRoot } from '../common/own-root.ts';

const OUTPUT_MAX = 1 << 20;
/** A plugin that has not answered by then will not. */
const LIMIT_MS = 60_000;
const AFTER_MS = 1000;

export interface Call {
  readonly command: 'ADD' | 'DEL';
  readonly container: string;
  readonly namespace: string;
  readonly interfaceName: string;
  readonly args: string;
  /** Where plugins are looked for, in order. */
  readonly path: readonly string[];
  /** Its result is not wanted any more: it is killed. What it has made goes with DEL. */
  readonly stopped?: AbortSignal | undefined;
}

/** PATH of plugins: with the image's iptables where the host has none. */
export function toolPath(): string {
  return `${process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'}:${join(ownRoot(), 'vmm/bin')}`;
}

/** Runs one plugin. Resolves with what it prints; rejects with Failure. */
export async function runPlugin(type: string, config: Readonly<Record<string, unknown>>, call: Call): Promise<string> {
  const program = call.path.map((folder) => join(folder, type)).find(isProgram);
  if (program === undefined) throw new Failure(`CNI plugin ${type} is in none of ${call.path.join(', ')}`);
  const env = {
    ...process.env,
    PATH: toolPath(),
    CNI_COMMAND: call.command, CNI_CONTAINERID: call.container, CNI_NETNS: call.namespace, CNI_IFNAME: call.interfaceName, CNI_ARGS: call.args, CNI_PATH: call.path.join(':'),
    CNI_VERSION: String(config['cniVersion'] ?? '0.1.0'),
  };
  const child = spawn(program, [], { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: LIMIT_MS, killSignal: 'SIGKILL', signal: call.stopped });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (bytes: Buffer) => {
      output[name] += bytes.toString();
      if (output[name].length > OUTPUT_MAX) child.kill('SIGKILL');
    });
  }
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify(config));
  const status = await new Promise<string>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => reject(new Failure(`CNI plugin ${type}, ${call.command}: cannot be run: ${error.code ?? error.message}`)));
    child.on('close', (code, signal) => resolve(signal ?? String(code)));
    // A process that it has left behind may keep its output open.
    child.on('exit', () => setTimeout(() => [child.stdout, child.stderr].forEach((stream) => stream.destroy()), AFTER_MS).unref());
  });
  if (status !== '0') throw new Failure(`CNI plugin ${type}, ${call.command}: ${failureOf(output, status)}`);
  return output.stdout;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Its error document {code, msg, details}, or what it said otherwise. */
function failureOf({ stdout, stderr }: { stdout: string; stderr: string }, status: string): string {
  try {
    const { msg, details } = JSON.parse(stdout) as { msg?: unknown; details?: unknown };
    if (typeof msg === 'string') return oneLine(`${msg}${typeof details === 'string' && details !== '' ? `: ${details}` : ''}`);
  } catch {
    // It has none.
  }
  return `ends with ${status}${stderr === '' ? '' : `: ${oneLine(stderr)}`}`;
}

export interface Address {
  readonly address: string;
  readonly prefix: number;
  readonly gateway: string | undefined;
}

/** What a plugin has given an interface. */
export interface Result {
  readonly addresses: readonly Address[];
  readonly routes: readonly { readonly dst: string; readonly gateway: string | undefined }[];
  readonly dns: { readonly nameservers: readonly string[]; readonly domain: string | undefined; readonly search: readonly string[]; readonly options: readonly string[] };
}

/** The result of a chain's last plugin, of any version of the specification. Throws Failure: a plugin is not believed what is no address. */
export function parseResult(type: string, text: string): Result {
  const bad = (what: string): Failure => new Failure(`CNI plugin ${type}: its result: ${what}`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw bad(`is no JSON: ${JSON.stringify(text.slice(0, 100))}`);
  }
  const object = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {});
  const items = (value: unknown): unknown[] => (Array.isArray(value) ? value.slice(0, 64) : []);
  const words = (value: unknown): string[] => items(value).filter((each): each is string => typeof each === 'string' && /^[\w.:-]{1,255}$/.test(each));
  const top = object(document);
  const gateway = (value: unknown): string | undefined => {
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string' || isIP(value) === 0) throw bad(`gateway: ${JSON.stringify(value)?.slice(0, 60)} is no address`);
    return value;
  };
  // Up to 0.2.0 {ip4: {ip, gateway, routes}, ip6}; later {ips: [{address, gateway}], routes}.
  const older = ['ip4', 'ip6'].map((key) => object(top[key])).filter((each) => each['ip'] !== undefined);
  const ips = [...older.map((each) => ({ address: each['ip'], gateway: each['gateway'] })), ...items(top['ips']).map(object).map((each) => ({ address: each['address'], gateway: each['gateway'] }))];
  const addresses = ips.map((each): Address => {
    const [address = '', bits = ''] = String(each.address).split('/');
    const most = isIP(address) === 4 ? 32 : 128;
    if (isIP(address) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) throw bad(`${JSON.stringify(each.address)?.slice(0, 60)} is no address with a prefix`);
    return { address, prefix: Number(bits), gateway: gateway(each.gateway) };
  });
  const routes = [...older.flatMap((each) => items(each['routes'])), ...items(top['routes'])].map(object).map((each) => {
    const [to = '', bits = ''] = String(each['dst']).split('/');
    if (isIP(to) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (isIP(to) === 4 ? 32 : 128)) throw bad(`route ${JSON.stringify(each['dst'])?.slice(0, 60)} is no network`);
    return { dst: String(each['dst']), gateway: gateway(each['gw']) };
  });
  if (addresses.length === 0) throw bad('has no address');
  const dns = object(top['dns']);
  return { addresses, routes, dns: { nameservers: words(dns['nameservers']).filter((each) => isIP(each) !== 0), domain: words([dns['domain']])[0], search: words(dns['search']), options: words(dns['options']) } };
}
