/**
 * Manifests of images and pods against the verdicts of the reference's code (appc/spec v0.8.11: what actool validate says of each) and,
 * where it is looser, of the specification's text: `ok`, `strict` (the code lets it pass, the text does not), or what is told.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { Context } from '../../../image/appc/schema/context.ts';
import { encodeImageManifest, parseImageManifest } from '../../../image/appc/schema/image-manifest.ts';
import { parsePodManifest } from '../../../image/appc/schema/pod-manifest.ts';
import { milliOf, parseQuantity, wholeOf } from '../../../image/appc/schema/quantity.ts';
import { sanitizeIdentifier, sanitizeName } from '../../../image/appc/schema/names.ts';

type Json = Record<string, unknown>;
type Verdict = 'ok' | 'strict' | RegExp;

const IMAGE: Json = { acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/hello' };
const APP: Json = { exec: ['/bin/hello'], user: '0', group: '0' };
const withApp = (more: Json): Json => ({ ...IMAGE, app: { ...APP, ...more } });
const isolated = (name: string, value: unknown): Json => withApp({ isolators: [{ name, value }] });
const labelled = (...labels: (readonly [string, string])[]): Json => ({ ...IMAGE, labels: labels.map(([name, value]) => ({ name, value })) });
const annotated = (name: string, value: string): Json => ({ ...IMAGE, annotations: [{ name, value }] });
const named = (name: unknown): Json => ({ ...IMAGE, name });
const versioned = (acVersion: unknown): Json => ({ ...IMAGE, acVersion });
const port = (more: Json): Json => withApp({ ports: [{ name: 'www', protocol: 'tcp', port: 80, ...more }] });
const mountPoint = (more: Json): Json => withApp({ mountPoints: [{ name: 'data', path: '/data', ...more }] });
const dependency = (more: Json): Json => ({ ...IMAGE, dependencies: [{ imageName: 'example.org/base', ...more }] });

const IMAGES: readonly (readonly [string, unknown, Verdict])[] = [
  ['the least', IMAGE, 'ok'],
  ['an app', withApp({}), 'ok'],
  ['no kind', { ...IMAGE, acKind: undefined }, /acKind: is missing/],
  ['another kind', { ...IMAGE, acKind: 'PodManifest' }, /acKind: "PodManifest"/],
  ['an unknown kind', { ...IMAGE, acKind: 'Image' }, /acKind: "Image"/],
  ['a kind of another type', { ...IMAGE, acKind: 3 }, /acKind: is not a string/],
  ['keys in capitals', { ACKIND: 'ImageManifest', ACVersion: '0.8.11', NAME: 'a.b/c' }, 'strict'],
  ['unknown keys', { ...IMAGE, extra: { a: [1] } }, 'ok'],
  ['null for what is optional', { ...IMAGE, app: null, labels: null, dependencies: null, annotations: null, pathWhitelist: null }, 'ok'],
  ['a list', [], /is not an object/],
  // AC Identifier
  ['no name', named(undefined), /name: is missing or empty/],
  ['an empty name', named(''), /name: is missing or empty/],
  ['a name of one letter', named('a'), 'ok'],
  ['a name with capitals', named('Example.org'), /name: "Example.org" is no AC Identifier/],
  ['a name with a blank', named('a b'), /no AC Identifier/],
  ['a name with a tilde and an underscore', named('a~b_c.d-e/f'), 'ok'],
  ['two dots in a name', named('a..b'), 'strict'],
  ['two slashes in a name', named('a//b'), 'strict'],
  ['a name that starts with a dot', named('.a'), /no AC Identifier/],
  ['a name that ends with a slash', named('a/'), /no AC Identifier/],
  ['a colon in a name', named('a:1'), /no AC Identifier/],
  ['a line end in a name', named('a\n'), /no AC Identifier/],
  // AC Version
  ['no version', versioned(undefined), /acVersion: is missing/],
  ['version 0.0.0', versioned('0.0.0'), /must not be 0\.0\.0/],
  ['two numbers', versioned('0.8'), /is no version/],
  ['a v before it', versioned('v0.8.0'), /is no version/],
  ['a pre-release and metadata', versioned('0.8.11-rc1+git'), 'ok'],
  ['a leading zero', versioned('0.08.1'), 'strict'],
  ['another major version', versioned('1.0.0'), 'strict'],
  ['a version of 2015', versioned('0.6.1'), 'ok'],
  // Labels
  ['the usual labels', labelled(['version', '1.0.0'], ['os', 'linux'], ['arch', 'amd64']), 'ok'],
  ['a label called name', labelled(['name', 'x']), /must not have a label "name"/],
  ['a label twice', labelled(['a', '1'], ['a', '2']), /two of the label "a"/],
  ['a label in capitals', labelled(['OS', 'linux']), /no AC Identifier/],
  ['an unknown os', labelled(['os', 'beos']), /os "beos" is none/],
  ['an os of JavaScript', labelled(['os', 'constructor']), /os "constructor" is none/],
  ['an arch that the os does not have', labelled(['os', 'linux'], ['arch', 'x86_64']), /arch "x86_64" of linux is none/],
  ['an unknown arch without os', labelled(['arch', 'z80']), 'ok'],
  ['darwin x86_64', labelled(['os', 'darwin'], ['arch', 'x86_64']), 'ok'],
  ['freebsd arm', labelled(['os', 'freebsd'], ['arch', 'arm']), 'ok'],
  ['linux aarch64_be', labelled(['os', 'linux'], ['arch', 'aarch64_be']), 'ok'],
  ['a label whose value is a number', { ...IMAGE, labels: [{ name: 'version', value: 1 }] }, /labels\[0\]\.value: is not a string/],
  // Annotations
  ['created', annotated('created', '2014-10-27T19:32:27.67021798Z'), 'ok'],
  ['created with an offset', annotated('created', '2014-10-27T19:32:27+02:00'), 'ok'],
  ['created without T', annotated('created', '2014-10-27 19:32:27Z'), /no time as RFC 3339/],
  ['created on no day', annotated('created', '2014-02-31T00:00:00Z'), /no time as RFC 3339/],
  ['created as text', annotated('created', 'yesterday'), /no time as RFC 3339/],
  ['a homepage', annotated('homepage', 'https://example.org'), 'ok'],
  ['a homepage by ftp', annotated('homepage', 'ftp://example.org'), /no URL of http or https/],
  ['documentation without a scheme', annotated('documentation', 'example.org'), /no URL of http or https/],
  ['a homepage that is no URL', annotated('homepage', 'http://'), 'strict'],
  ['anybody’s annotation', annotated('example.org/x', ''), 'ok'],
  ['sd_notify', annotated('appc.io/executor/supports-systemd-notify', 'true'), 'ok'],
  ['sd_notify, odd', annotated('appc.io/executor/supports-systemd-notify', 'yes'), 'strict'],
  ['an annotation twice', { ...IMAGE, annotations: [{ name: 'a', value: '1' }, { name: 'a', value: '1' }] }, /two of the annotation "a"/],
  // App
  ['no user', withApp({ user: undefined }), /app\.user: is missing or empty/],
  ['an empty group', withApp({ group: '' }), /app\.group: is missing or empty/],
  ['a user by number', withApp({ user: 0 }), /app\.user: is not a string/],
  ['no exec', withApp({ exec: undefined }), 'ok'],
  ['an empty exec', withApp({ exec: [] }), 'ok'],
  ['exec as one text', withApp({ exec: '/bin/x' }), /app\.exec: is not a list/],
  ['a relative exec', withApp({ exec: ['hello'] }), 'ok'],
  ['a NUL byte in exec', withApp({ exec: ['a\0b'] }), /app\.exec\[0\]: has a NUL byte/],
  ['a working directory', withApp({ workingDirectory: '/x' }), 'ok'],
  ['a relative working directory', withApp({ workingDirectory: 'x' }), /app\.workingDirectory: "x" is no absolute path/],
  ['further groups', withApp({ supplementaryGIDs: [1, 2] }), 'ok'],
  ['further groups as an example spells them', withApp({ supplementaryGids: [1, 2] }), 'ok'],
  ['a negative group', withApp({ supplementaryGIDs: [-1] }), 'strict'],
  ['a group as text', withApp({ supplementaryGIDs: ['1'] }), /app\.supplementaryGIDs: is not a whole number/],
  ['handlers', withApp({ eventHandlers: [{ name: 'pre-start', exec: ['/a'] }, { name: 'post-stop', exec: ['/b'] }] }), 'ok'],
  ['a handler twice', withApp({ eventHandlers: [{ name: 'pre-start', exec: ['/a'] }, { name: 'pre-start', exec: ['/b'] }] }), /two of pre-start/],
  ['an unknown handler', withApp({ eventHandlers: [{ name: 'pre-stop', exec: ['/a'] }] }), /eventHandlers\[0\]\.name: "pre-stop"/],
  ['a handler that runs nothing', withApp({ eventHandlers: [{ name: 'pre-start', exec: [] }] }), 'strict'],
  ['variables', withApp({ environment: [{ name: 'A_b.c-d', value: '$HOME' }] }), 'ok'],
  ['a variable that starts with a digit', withApp({ environment: [{ name: '1A', value: '' }] }), /environment\[0\]\.name: "1A"/],
  ['a variable with =', withApp({ environment: [{ name: 'A=B', value: '' }] }), /no name of a variable/],
  ['a variable twice', withApp({ environment: [{ name: 'A', value: '1' }, { name: 'A', value: '1' }] }), /two of "A"/],
  ['a NUL byte in a variable', withApp({ environment: [{ name: 'A', value: '\0' }] }), /NUL byte/],
  ['a mount point', mountPoint({ readOnly: true }), 'ok'],
  ['a mount point without a path', mountPoint({ path: '' }), /mountPoints\[0\]\.path: is missing/],
  ['a mount point with a relative path', mountPoint({ path: 'data' }), 'strict'],
  ['a mount point with a dot in its name', mountPoint({ name: 'a.b' }), /no AC Name/],
  ['a mount point with two hyphens', mountPoint({ name: 'a--b' }), 'strict'],
  ['a mount point twice', withApp({ mountPoints: [{ name: 'a', path: '/a' }, { name: 'a', path: '/b' }] }), 'strict'],
  ['a port', port({ count: 10, socketActivated: true }), 'ok'],
  ['port 0', port({ port: 0 }), /ports\[0\]\.port: 0 is not between/],
  ['port 65536', port({ port: 65_536 }), /65536 is not between/],
  ['the last ports', port({ port: 65_530, count: 6 }), 'ok'],
  ['ports beyond the last', port({ port: 65_530, count: 7 }), /the last port would be 65536/],
  ['a port as text', port({ port: '80' }), /ports\[0\]\.port: is not a whole number/],
  ['a negative count', port({ count: -1 }), /count: is not a whole number/],
  ['a port without a protocol', port({ protocol: undefined }), 'strict'],
  ['a port of some protocol', port({ protocol: 'sctp' }), 'ok'],
  ['a port twice', withApp({ ports: [{ name: 'a', protocol: 'tcp', port: 1 }, { name: 'a', protocol: 'tcp', port: 2 }] }), 'strict'],
  ['annotations and labels of a user', withApp({ userAnnotations: { 'A B': 'x' }, userLabels: { c: 'd' } }), 'ok'],
  ['a user’s label that is no text', withApp({ userLabels: { c: 1 } }), /userLabels: "c" is not a string/],
  // Dependencies
  ['a dependency', dependency({ labels: [{ name: 'os', value: 'linux' }], size: 22 }), 'ok'],
  ['a dependency by id', dependency({ imageID: `sha512-${'a'.repeat(128)}` }), 'ok'],
  ['a dependency without a name', dependency({ imageName: undefined }), /imageName: is missing/],
  ['a dependency whose id is no number', dependency({ imageID: 'sha512-zz' }), 'strict'],
  ['a dependency by sha256', dependency({ imageID: `sha256-${'a'.repeat(64)}` }), /no image id/],
  ['a dependency with an id of three parts', dependency({ imageID: 'sha512-a-b' }), /no image id/],
  ['a dependency with an empty hash', dependency({ imageID: 'sha512-' }), /no image id/],
  ['a dependency of a negative size', dependency({ size: -1 }), /size: is not a whole number/],
  ['a dependency for an unknown os', dependency({ labels: [{ name: 'os', value: 'x' }] }), /os "x" is none/],
  // Whitelist
  ['a whitelist', { ...IMAGE, pathWhitelist: ['/etc/systemd/system/', '/bin/x'] }, 'ok'],
  ['an empty whitelist', { ...IMAGE, pathWhitelist: [] }, 'ok'],
  ['a relative path in the whitelist', { ...IMAGE, pathWhitelist: ['etc'] }, 'strict'],
  // Isolators
  ['memory', isolated('resource/memory', { request: '250M', limit: '1G' }), 'ok'],
  ['memory as a number', isolated('resource/memory', { limit: 1024 }), 'ok'],
  ['memory in K', isolated('resource/memory', { limit: '1K' }), 'strict'],
  ['memory in GB', isolated('resource/memory', { limit: '1GB' }), /value\.limit: "1GB" is no quantity/],
  ['memory in g', isolated('resource/memory', { limit: '1g' }), /"1g" is no quantity/],
  ['memory with a blank', isolated('resource/memory', { limit: ' 1' }), /no quantity/],
  ['memory as default', isolated('resource/memory', { default: true, limit: '1G' }), /value\.default: must be false/],
  ['memory of nothing', isolated('resource/memory', {}), 'strict'],
  ['cpu', isolated('resource/cpu', { request: '250m', limit: '1.5' }), 'ok'],
  ['block bandwidth', isolated('resource/block-bandwidth', { default: true, limit: '2M' }), 'ok'],
  ['block bandwidth, no default', isolated('resource/block-bandwidth', { limit: '2M' }), /value\.default: must be true/],
  ['block iops with a request', isolated('resource/block-iops', { default: true, request: '1', limit: '2' }), /value\.request/],
  ['network bandwidth', isolated('resource/network-bandwidth', { default: true, limit: '1G' }), 'ok'],
  ['capabilities', isolated('os/linux/capabilities-retain-set', { set: ['CAP_NET_ADMIN'] }), 'ok'],
  ['no capabilities', isolated('os/linux/capabilities-remove-set', { set: [] }), /value\.set: is empty/],
  ['capabilities without a set', isolated('os/linux/capabilities-retain-set', null), /value\.set: is empty/],
  ['a capability that is none', isolated('os/linux/capabilities-retain-set', { set: ['net_admin'] }), 'strict'],
  ['both sets of capabilities', withApp({ isolators: [{ name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_KILL'] } }, { name: 'os/linux/capabilities-remove-set', value: { set: ['CAP_KILL'] } }] }), 'strict'],
  ['no new privileges', isolated('os/linux/no-new-privileges', true), 'ok'],
  ['no new privileges, as text', isolated('os/linux/no-new-privileges', 'true'), /value: is not true or false/],
  ['seccomp', isolated('os/linux/seccomp-remove-set', { set: ['reboot'], errno: 'EPERM' }), 'ok'],
  ['seccomp with a wildcard', isolated('os/linux/seccomp-retain-set', { set: ['@appc.io/all'] }), 'ok'],
  ['seccomp with an error in small letters', isolated('os/linux/seccomp-remove-set', { set: ['reboot'], errno: 'eperm' }), /value\.errno/],
  ['seccomp of nothing', isolated('os/linux/seccomp-retain-set', { set: [] }), /value\.set: is empty/],
  ['both kinds of seccomp', withApp({ isolators: [{ name: 'os/linux/seccomp-retain-set', value: { set: ['read'] } }, { name: 'os/linux/seccomp-remove-set', value: { set: ['reboot'] } }] }), /has both/],
  ['seccomp twice', withApp({ isolators: [{ name: 'os/linux/seccomp-retain-set', value: { set: ['read'] } }, { name: 'os/linux/seccomp-retain-set', value: { set: ['write'] } }] }), /has 2 of os\/linux\/seccomp-retain-set/],
  ['oom score', isolated('os/linux/oom-score-adj', -1000), 'ok'],
  ['an oom score out of range', isolated('os/linux/oom-score-adj', 1001), /1001 is not between -1000 and 1000/],
  ['oom score twice', withApp({ isolators: [{ name: 'os/linux/oom-score-adj', value: 1 }, { name: 'os/linux/oom-score-adj', value: 2 }] }), /has 2 of/],
  ['cpu shares', isolated('os/linux/cpu-shares', 2), 'ok'],
  ['too few cpu shares', isolated('os/linux/cpu-shares', 1), /is not a whole number|1 is not between/],
  ['memory twice', withApp({ isolators: [{ name: 'resource/memory', value: { limit: '1' } }, { name: 'resource/memory', value: { limit: '2' } }] }), 'ok'],
  ['an SELinux context', isolated('os/linux/selinux-context', { user: 'u', role: 'r', type: 't', level: 's0' }), 'ok'],
  ['an AppArmor profile', isolated('os/linux/apparmor-profile', { profile: 'x' }), 'ok'],
  ['an unknown isolator', isolated('example.org/x', 1), /isolators\[0\]\.name: "example\.org\/x" is no isolator/],
  ['an isolator of JavaScript', isolated('constructor', 1), /is no isolator/],
  ['sysctl, which is a pod’s', isolated('os/unix/sysctl', { 'net.ipv4.ip_forward': '1' }), 'strict'],
];

const POD: Json = { acKind: 'PodManifest', acVersion: '0.8.11', apps: [] };
const ID = `sha512-${'0'.repeat(128)}`;
const runtime = (more: Json): Json => ({ ...POD, apps: [{ name: 'app', image: { id: ID }, ...more }] });
const volume = (more: Json): Json => ({ ...POD, volumes: [{ name: 'data', ...more }] });

const PODS: readonly (readonly [string, unknown, Verdict])[] = [
  ['the least', POD, 'ok'],
  ['no apps', { ...POD, apps: null }, 'ok'],
  ['an app', runtime({}), 'ok'],
  ['an app twice', { ...POD, apps: [{ name: 'a', image: { id: ID } }, { name: 'a', image: { id: ID } }] }, /apps: has two of "a"/],
  ['an app without an image', runtime({ image: undefined }), /apps\[0\]\.image: is missing/],
  ['an image without an id', runtime({ image: { name: 'a' } }), /image\.id: is missing/],
  ['a short id of rkt', runtime({ image: { id: `sha512-${'0'.repeat(64)}` } }), 'ok'],
  ['an app with a dot in its name', runtime({ name: 'a.b' }), /no AC Name/],
  ['an app of its own', runtime({ app: APP, readOnlyRootFS: true, annotations: [{ name: 'a', value: 'b' }] }), 'ok'],
  ['an app of its own without a user', runtime({ app: { exec: ['/a'], group: '0' } }), /apps\[0\]\.app\.user/],
  ['a mount', runtime({ mounts: [{ volume: 'data', path: '/data' }] }), 'ok'],
  ['a mount as before 0.7.0', runtime({ mounts: [{ volume: 'data', mountPoint: 'data' }] }), /mountPoint is of versions before/],
  ['a mount with a volume of its own', runtime({ mounts: [{ volume: 'data', path: '/d', appVolume: { name: 'x', kind: 'empty' } }] }), 'ok'],
  ['an empty volume', volume({ kind: 'empty', mode: '1777', uid: 5, gid: 5 }), 'ok'],
  ['an empty volume with a source', volume({ kind: 'empty', source: '/x' }), /source: is nothing that an empty volume has/],
  ['a mode that is none', volume({ kind: 'empty', mode: '9' }), /no mode in octal/],
  ['a host’s volume', volume({ kind: 'host', source: '/srv', readOnly: true, recursive: false }), 'ok'],
  ['a host’s volume without a source', volume({ kind: 'host' }), /source: is missing/],
  ['a host’s volume with a relative source', volume({ kind: 'host', source: 'srv' }), /no absolute path/],
  ['a host’s volume with a mode', volume({ kind: 'host', source: '/srv', mode: '0755' }), /mode: is nothing that a volume of the host has/],
  ['an unknown kind', volume({ kind: 'tmpfs' }), /neither empty nor host/],
  ['a volume twice', { ...POD, volumes: [{ name: 'a', kind: 'empty' }, { name: 'a', kind: 'empty' }] }, /volumes: has two of "a"/],
  ['an exposed port', { ...POD, ports: [{ name: 'www', hostPort: 80, hostIP: '10.0.0.1', podPort: { name: 'www', protocol: 'tcp', port: 80 } }] }, 'ok'],
  ['an address that is none', { ...POD, ports: [{ name: 'www', hostPort: 80, hostIP: 'localhost' }] }, 'strict'],
  ['a pod’s unknown isolator', { ...POD, isolators: [{ name: 'example.org/x', value: 1 }] }, 'strict'],
  ['sysctl', { ...POD, isolators: [{ name: 'os/unix/sysctl', value: { 'net.ipv4.ip_forward': '1' } }] }, 'ok'],
  ['sysctl twice', { ...POD, isolators: [{ name: 'os/unix/sysctl', value: {} }, { name: 'os/unix/sysctl', value: {} }] }, /has 2 of os\/unix\/sysctl/],
  ['an image manifest', IMAGE, /acKind: "ImageManifest" is not PodManifest/],
];

function verdict(parse: (bytes: Uint8Array, context: Context) => unknown, document: unknown): string {
  const context = new Context('m');
  try {
    parse(Buffer.from(JSON.stringify(document)), context);
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    expect(error.code).toBe('ACI_MANIFEST');
    expect(error.message).not.toContain('\n');
    return error.message;
  }
  return context.warnings.length === 0 ? 'ok' : 'strict';
}

function hold(parse: (bytes: Uint8Array, context: Context) => unknown, document: unknown, expected: Verdict): void {
  if (expected instanceof RegExp) expect(verdict(parse, document)).toMatch(expected);
  else expect(verdict(parse, document)).toBe(expected);
}

describe('image manifests', () => {
  test.each(IMAGES)('%s', (_, document, expected) => hold(parseImageManifest, document, expected));

  test('what is valid means the same once it has been written anew', () => {
    for (const [, document, expected] of IMAGES) {
      if (expected instanceof RegExp) continue;
      const first = parseImageManifest(Buffer.from(JSON.stringify(document)), new Context('m'));
      const again = encodeImageManifest(first);
      expect(parseImageManifest(Buffer.from(again), new Context('m'))).toEqual(first);
    }
  });

  test('who runs an image keeps an unknown isolator, and hears of it', () => {
    const context = new Context('m', { keepUnknownIsolators: true });
    const { app } = parseImageManifest(Buffer.from(JSON.stringify(isolated('example.org/x', { a: 1 }))), context);
    expect(app?.isolators).toEqual([{ name: 'example.org/x', value: { a: 1 } }]);
    expect(context.warnings).toEqual(['app.isolators[0].name: "example.org/x" is no isolator that is known']);
  });

  test.each([
    ['no JSON', '{', /is not JSON/],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /is not UTF-8/],
    ['a byte order mark', '\ufeff{}', /is not JSON/],
    ['more than a MiB', `{"a":"${'x'.repeat(1 << 20)}"}`, /at most 1048576 are read/],
    ['deep nesting', `${'{"a":['.repeat(200)}`, /nested more than 100 deep/],
    ['deep nesting in quotes, which is none', JSON.stringify({ ...IMAGE, x: '['.repeat(500) }), undefined],
  ])('%s', (_, text, expected) => {
    const parse = (): unknown => parseImageManifest(Buffer.from(text as string), new Context('m'));
    if (expected === undefined) expect(parse()).toBeDefined();
    else expect(parse).toThrow(expected);
  });

  test('a thousand warnings take no more room than a hundred', () => {
    const context = new Context('m');
    parseImageManifest(Buffer.from(JSON.stringify({ ...IMAGE, pathWhitelist: Array.from({ length: 1000 }, () => 'x') })), context);
    expect(context.warnings).toHaveLength(100);
  });
});

describe('pod manifests', () => {
  test.each(PODS)('%s', (_, document, expected) => hold(parsePodManifest, document, expected));

  test('defaults are in their places', () => {
    const { volumes, apps } = parsePodManifest(Buffer.from(JSON.stringify({ ...runtime({}), volumes: [{ name: 'a', kind: 'empty' }, { name: 'b', kind: 'host', source: '/' }] })), new Context('m'));
    expect(volumes).toEqual([{ name: 'a', kind: 'empty', readOnly: undefined, mode: 0o755, uid: 0, gid: 0 }, { name: 'b', kind: 'host', source: '/', readOnly: undefined, recursive: undefined }]);
    expect(apps[0]).toEqual({ name: 'app', image: { id: ID, name: undefined, labels: [] }, app: undefined, readOnlyRootFS: false, mounts: [], annotations: [] });
  });
});

describe('quantities', () => {
  test.each([
    ['500m', 1n, 500n], ['1.5', 2n, 1500n], ['0.1m', 1n, 1n], ['1Ki', 1024n, 1_024_000n], ['128974848', 128_974_848n, 128_974_848_000n], ['125952Ki', 128_974_848n, 128_974_848_000n],
    ['123Mi', 128_974_848n, 128_974_848_000n], ['1e3', 1000n, 1_000_000n], ['1E3', 1000n, 1_000_000n], ['1E', 10n ** 18n, 10n ** 21n], ['1G', 10n ** 9n, 10n ** 12n], ['.5', 1n, 500n],
    ['1k', 1000n, 1_000_000n], ['1K', 1000n, 1_000_000n], ['9223372036854775808', (1n << 63n) - 1n, ((1n << 63n) - 1n) * 1000n], ['99999Ei', (1n << 63n) - 1n, ((1n << 63n) - 1n) * 1000n], ['0', 0n, 0n],
  ])('%s', (text, whole, milli) => {
    const quantity = parseQuantity(text);
    expect(quantity).toBeDefined();
    expect([wholeOf(quantity as never), milliOf(quantity as never)]).toEqual([whole, milli]);
  });

  test.each(['', '1 ', '1GB', '1g', 'm', '.', '1..2', '0x10', '1e', '1e99999', '-', 'Infinity', '1Kib', '1'.repeat(100), 1e300, Number.NaN, null, {}])('%j is none', (value) => {
    expect(parseQuantity(value)).toBeUndefined();
  });
});

describe('sanitising', () => {
  test('gives what is a name, or nothing', () => {
    expect(sanitizeIdentifier('Docker.IO/Library/My App:1')).toBe('docker.io/library/my_app_1');
    expect(sanitizeName('/usr/bin/My.App--')).toBe('usr-bin-my-app');
    expect(sanitizeName('///')).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => {
      const name = sanitizeIdentifier(text);
      return name === undefined || verdict(parseImageManifest, named(name)) !== `m: name: ${JSON.stringify(name)} is no AC Identifier`;
    }), { numRuns: 200 });
  });
});
