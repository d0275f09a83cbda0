/** -v and --mount: what Docker 20.10.24's client and daemon take and refuse, with their words (captured from them). */
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { parseArgs } from '../../../vmm/cli/args.ts';
import { parseMount, parseVolume } from '../../../vmm/cli/mount-text.ts';
import { RUN } from '../../../vmm/cli/run-options.ts';
import { formatRows } from '../../../vmm/cli/template.ts';

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof VmmError) return error.message;
    throw error;
  }
  throw new Error('no error was thrown');
}
const v = (text: string) => parseVolume(text, '-v');
const m = (text: string) => parseMount(text, '--mount');

describe('-v', () => {
  it.each<[string, object]>([
    ['/a:/b', { type: 'bind', source: '/a', target: '/b', readOnly: false, recursive: true, make: true, cache: 'auto' }],
    ['/a:/b:ro', { type: 'bind', readOnly: true }],
    ['/a:/b:rw', { type: 'bind', readOnly: false }],
    ['/a:/b:ro,Z', { type: 'bind', readOnly: true }],
    ['/a:/b:z', { type: 'bind' }],
    ['/a:/b:', { type: 'bind' }],
    ['/a:/b:rprivate', { type: 'bind' }],
    ['/a:/b:ro,consistent', { type: 'bind', cache: 'none' }],
    ['/a:/b:delegated', { type: 'bind', cache: 'always' }],
    ['/a:/c/../d/', { target: '/d' }],
    ['/a/..:/c', { source: '/' }],
    ['./here:/c', { source: resolve('here') }],
    ['.:/c', { source: resolve('.') }],
    ['..:/c', { source: resolve('..') }],
    ['../x/y:/c', { source: resolve('../x/y') }],
    ['name:/c', { type: 'volume', name: 'name', target: '/c', noCopy: false, readOnly: false }],
    ['A_.-9:/c:ro,nocopy', { type: 'volume', name: 'A_.-9', noCopy: true, readOnly: true }],
    ['/c', { type: 'volume', name: undefined, target: '/c' }],
    ['/a:/proc/meminfo', { target: '/proc/meminfo' }],
  ])('%s', (text, expected) => expect(v(text)).toMatchObject(expected));

  it.each([
    ['/a:', "-v: invalid volume specification: '/a:'"],
    [':/b', "-v: invalid volume specification: ':/b'"],
    [':', "-v: invalid volume specification: ':'"],
    ['', "-v: invalid volume specification: ''"],
    ['/a:/b:/c:ro', "-v: invalid volume specification: '/a:/b:/c:ro'"],
    ['/b:ro', "-v: invalid volume specification: '/b:ro'"],
    ['/tmp:/b:zz', '-v: invalid mode: zz'],
    ['/tmp:/c:ro,rw', '-v: invalid mode: ro,rw'],
    ['/tmp:/c:rw,rw', '-v: invalid mode: rw,rw'],
    ['/tmp:/c:rshared,shared', '-v: invalid mode: rshared,shared'],
    ['/tmp:b', "-v: invalid volume specification: '/tmp:b': invalid mount path: 'b' mount path must be absolute"],
    ['a', "-v: invalid volume specification: 'a': invalid mount path: 'a' mount path must be absolute"],
    ['/tmp:/', "-v: invalid specification: destination can't be '/'"],
    ['/tmp:/..', "-v: invalid specification: destination can't be '/'"],
    ['/tmp:/proc', '-v: /proc cannot be mounted because it is inside /proc'],
    ['/tmp:/x/../proc/x', '-v: /proc/x cannot be mounted because it is inside /proc'],
    ['/tmp:/c:nocopy', "-v: invalid volume specification: '/tmp:/c:nocopy': nocopy is for volumes, not for directories of the host"],
    ['v1:/c:rshared', "-v: invalid volume specification: 'v1:/c:rshared': rshared is for directories of the host, not for volumes"],
    ['/tmp:/c:rslave', '-v: the propagation mode rslave is not supported: a machine of its own has mounts of its own'],
    ['a b:/c', '"a b" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['a/b:/c', '"a/b" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['-x:/c', '"-x" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['x:/c', 'volume name is too short, names should be at least two alphanumeric characters: "x"'],
  ])('%s is refused', (text, message) => expect(messageOf(() => v(text))).toBe(message));
});

describe('--mount', () => {
  it.each<[string, object]>([
    ['type=bind,source=/a,target=/b', { type: 'bind', source: '/a', target: '/b', make: false, readOnly: false, recursive: true }],
    ['type=bind,src=/a,dst=/b,readonly', { readOnly: true }],
    ['TYPE=bind,SRC=/a,destination=/b,ro=1', { readOnly: true }],
    ['type=bind,src=/a,dst=/b,readonly=F', { readOnly: false }],
    ['type=bind,src=/a,dst=/b,bind-nonrecursive,consistency=cached', { recursive: false, cache: 'auto' }],
    ['type=bind,src=/a,dst=/b,bind-recursive=disabled', { recursive: false }],
    ['type=bind,src=/a,dst=/b,bind-recursive=enabled', { recursive: true }],
    ['type=bind,src=/a,dst=/b,readonly,bind-recursive=readonly', { recursive: true, readOnly: true }],
    ['src=data,dst=/b,volume-subpath=one/./two', { type: 'volume', name: 'data', subpath: 'one/two' }],
    ['src=data,dst=/b,volume-subpath=one/../two//three', { subpath: 'two/three' }],
    ['src=data,dst=/b,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/host', { device: { type: 'none', o: 'bind', device: '/host' } }],
    ['src=data,dst=/b,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,uid=7"', { device: { type: 'tmpfs', o: 'size=1m,uid=7' } }],
    ['type=bind,src=/a,dst=/b,bind-propagation=rprivate', { type: 'bind' }],
    ['type=bind,"source=/a,b",dst=/b', { source: '/a,b' }],
    ['type=bind,"source=/a ""b""",dst=/b', { source: '/a "b"' }],
    ['type=bind,src=/a:b,dst=/c:d', { source: '/a:b', target: '/c:d' }],
    ['type=bind,src=./x,dst=/b', { source: resolve('x') }],
    ['dst=/b', { type: 'volume', name: undefined, target: '/b' }],
    ['src=data,dst=/b,volume-nocopy', { type: 'volume', name: 'data', noCopy: true }],
    ['src=data,dst=/b,volume-label=a=b=c,volume-label=d,volume-driver=local', { labels: { a: 'b=c', d: '' } }],
    ['type=tmpfs,dst=/t', { type: 'tmpfs', target: '/t', options: 'mode=1777' }],
    ['type=tmpfs,dst=/t,tmpfs-size=10m,tmpfs-mode=0700,readonly', { options: 'mode=0700,size=10485760,ro' }],
    ['type=tmpfs,dst=/t,tmpfs-size=4096', { options: 'mode=1777,size=4096' }],
  ])('%s', (text, expected) => expect(m(text)).toMatchObject(expected));

  it.each([
    ['', "--mount: invalid field '' must be a key=value pair"],
    ['type=bind', '--mount: target is required: type=bind'],
    ['src', "--mount: invalid field 'src' must be a key=value pair"],
    ['type=bind,src=/a,dst=/b,foo=1', "--mount: unexpected key 'foo' in 'foo=1'"],
    ['type=bind,src=/a,dst=/b,readonly=maybe', '--mount: invalid value for readonly: maybe'],
    ['type=bind,src=/a,dst=/b,bind-nonrecursive=x', '--mount: invalid value for bind-nonrecursive: x'],
    ['type=volume,dst=/b,bind-propagation=rslave', "--mount: cannot mix 'bind-*' options with mount type 'volume'"],
    ['type=bind,src=/a,dst=/b,volume-nocopy', "--mount: cannot mix 'volume-*' options with mount type 'bind'"],
    ['type=volume,src=aa,dst=/b,tmpfs-size=3', "--mount: cannot mix 'tmpfs-*' options with mount type 'volume'"],
    ['type=tmpfs,dst=/b,tmpfs-mode=999', '--mount: invalid value for tmpfs-mode: 999'],
    ['type=foo,src=/a,dst=/b', '--mount: invalid mount config for type "foo": mount type unknown'],
    ['type=npipe,src=/a,dst=/b', '--mount: invalid mount config for type "npipe": mount type unknown'],
    ['type=bind,src=/a,dst=/b,bind-propagation=foo', '--mount: invalid mount config for type "bind": invalid propagation mode: foo'],
    ['type=bind,src=/a,dst=/b,bind-propagation=shared', '--mount: the propagation mode shared is not supported: a machine of its own has mounts of its own'],
    ['type=bind,dst=/b', '--mount: invalid mount config for type "bind": field Source must not be empty'],
    ['type=tmpfs,src=/a,dst=/b', '--mount: invalid mount config for type "tmpfs": field Source must not be specified'],
    ['type=bind,src=rel,dst=/b', "--mount: invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute"],
    ['type=bind,src=/tmp,dst=b', "--mount: invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute"],
    ['type=bind,src=/tmp,dst=/', "--mount: invalid specification: destination can't be '/'"],
    ['type=volume,src=/a,dst=/b', '"/a" includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    ['src=aa,dst=/b,volume-opt=type=nfs', '--mount: missing required option: "device"'],
    ['src=aa,dst=/b,volume-opt=uid=0', '--mount: invalid option: "uid"'],
    ['type=bind,src=/a,dst=/b,bind-recursive=x', '--mount: invalid value for bind-recursive: x (must be "enabled", "disabled", "writable", or "readonly")'],
    ['type=bind,src=/a,dst=/b,bind-recursive=readonly', "--mount: option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction"],
    ['type=bind,src=/a,dst=/b,ro,bind-recursive=writable', '--mount: bind-recursive=writable is not supported: read-only holds for all that is below'],
    ['type=bind,src=/a,dst=/b,bind-nonrecursive,bind-recursive=enabled', '--mount: bind-nonrecursive and bind-recursive=enabled exclude each other'],
    ['dst=/b,volume-subpath=x', '--mount: invalid mount config for type "volume": must not set Subpath when using anonymous volumes'],
    ['src=aa,dst=/b,volume-subpath=/x', '--mount: invalid mount config for type "volume": subpath must be a relative path within the volume'],
    ['src=aa,dst=/b,volume-subpath=x/../../y', '--mount: invalid mount config for type "volume": subpath must be a relative path within the volume'],
    ['src=aa,dst=/b,volume-subpath=', '--mount: invalid mount config for type "volume": subpath must be a relative path within the volume'],
    ['src=aa,dst=/b,volume-opt=size=1k', '--mount: a volume cannot have a size of 1k'],
    ['dst=/b,volume-opt=size=1m', '--mount: invalid mount config for type "volume": volume-opt is for volumes that have a name'],
    ['src=aa,dst=/b,volume-driver=nfs', '--mount: there is no volume driver nfs'],
    ['type=bind,src=/a,dst=/b,consistency=zz', '--mount: invalid value for consistency: zz'],
    ['type=bind,s"rc=/a,dst=/b', '--mount: a quotation mark within a field: s"rc=/a'],
    ['type=tmpfs,dst=/b,tmpfs-size=-1', '--mount: tmpfs-size: -1 is not a size'],
  ])('%s is refused', (text, message) => expect(messageOf(() => m(text))).toBe(message));
});

describe('the options together', () => {
  it('are lists, in their order', () => {
    const { options } = parseArgs(['-v', '/a:/b', '--volume=cc:/c', '--mount', 'type=bind,src=/d,dst=/d', 'image'], RUN);
    expect([...options.volume, ...options.mount].map(({ target }) => target)).toEqual(['/b', '/c', '/d']);
  });

  it('other volume drivers are told as such', () => {
    expect(messageOf(() => parseArgs(['--volume-driver', 'nfs', 'image'], RUN))).toBe('--volume-driver nfs is not supported yet');
  });
});

describe('--format', () => {
  const rows = [{ Name: 'one', Driver: 'local', Labels: { a: 'b' } }, { Name: 'second', Driver: 'local', Labels: {} }];
  it.each([
    ['{{.Name}}', 'one\nsecond\n'],
    ['{{ .Name }}:{{json .Labels}}', 'one:{"a":"b"}\nsecond:{}\n'],
    ['{{index .Labels "a"}}|', 'b|\n|\n'],
    ['table {{.Driver}}\t{{.Name}}', 'DRIVER    VOLUME\nlocal     one\nlocal     second\n'],
    ['table {{.Name}}\\t{{.Driver}}', 'VOLUME    DRIVER\none       local\nsecond    local\n'],
    ['{{json .}}', `${JSON.stringify(rows[0])}\n${JSON.stringify(rows[1])}\n`],
    ['json', `${JSON.stringify(rows[0])}\n${JSON.stringify(rows[1])}\n`],
  ])('%j', (format, expected) => expect(formatRows(format, rows, { Name: 'VOLUME' })).toBe(expected));

  it('what is no field', () => {
    expect(messageOf(() => formatRows('{{.Nope}}', rows))).toBe('--format: there is no field .Nope');
    expect(messageOf(() => formatRows('{{range .}}', rows))).toBe('--format: {{range}} has no {{end}}');
  });
});
