/** What each rkt calls `run` with: 0.8.1 by its own words, 1.3.0 (interface 2), 1.30.0 (interface 6); and what is no such call. */
import { expect, it } from 'vitest';
import { parseFlags } from '../../stage1/common/flags.ts';
import { networksOf } from '../../stage1/net/config.ts';
import { gc } from '../../stage1/gc.ts';
import { type RunOptions, runOptions } from '../../stage1/run/options.ts';

const UUID = '6d0fd5e3-9dbf-4ca9-9a24-6b0c3e6e5f5a';
const TOKEN = '0123456789abcdef0123456789abcdef';
const names = ({ networks }: RunOptions): string[] => networks.map(({ name, args }) => (args === '' ? name : `${name}:${args}`));

it.each<[version: string, argv: readonly string[], expected: Partial<RunOptions>, networks: readonly string[], notes?: number]>([
  ['0.8.1, as it is', [UUID], { localConfig: '/etc/rkt', hostname: `rkt-${UUID}`, mutable: false, debug: false }, ['default'], 1],
  ['0.8.1, all it knows', ['--debug', '--private-net=all', '--interactive', `--mds-token=${TOKEN}`, '--local-config=/l', UUID], { debug: true, interactive: true, mdsToken: TOKEN, localConfig: '/l' }, ['all']],
  ['0.8.1, a bare option', ['--private-net', UUID], {}, ['all']],
  ['0.8.1, a list', ['--private-net=one,two', UUID], {}, ['one', 'two']],
  ['1.3.0', ['--debug', '--net=default', '--local-config=/etc/rkt', '--hostname=h', UUID], { hostname: 'h', debug: true }, ['default']],
  ['1.30.0', ['--net=default,foo:IP=1.2.3.4;A=b', '--local-config=/e', '--hostname=hh', '--dns-conf-mode=resolv=stage0,hosts=host', '--disable-capabilities-restriction', '--disable-paths', '--disable-seccomp', '--ipc=auto', UUID],
    { resolv: 'stage0', hosts: 'host', insecure: { capabilities: true, paths: true, seccomp: true } }, ['default', 'foo:IP=1.2.3.4;A=b']],
  ['1.30.0, a sandbox', ['--net=none', '--local-config=/etc/rkt', '--mutable', '--ipc=private', UUID], { mutable: true }, []],
  ['1.30.0, run-prepared', ['--net=default', UUID], { localConfig: '/etc/rkt' }, ['default']],
  ['as Go’s flags may stand', ['-net', 'none', '--debug=f', '-interactive=T', UUID], { debug: false, interactive: true }, []],
  ['a flag of a later rkt', ['--net=none', '--some-day=x', UUID], {}, [], 1],
  ['none with arguments', ['--net=none:x', UUID], {}, []],
])('%s', (_version, argv, expected, networks, notes = 0) => {
  const options = runOptions(argv);
  expect(options).toMatchObject({ uuid: UUID, ...expected });
  expect(names(options)).toEqual(networks);
  expect(options.notes).toHaveLength(notes);
});

it.each<[argv: readonly string[], message: RegExp]>([
  [[], /UUID/],
  [['--net=none', UUID.toUpperCase()], /UUID/],
  [['--net=none', `../${UUID}`], /UUID/],
  [['--net=a,,b', UUID], /netname must not be empty/],
  [['--net=a,a', UUID], /found duplicate netname/],
  [['--net=a:b:c', UUID], /network "a" provided with invalid arguments/],
  [['--net=all:x', UUID], /arguments are not supported by special netname/],
  [['--net=host:x', UUID], /arguments are not supported by special netname/],
  [['--net=host', UUID], /^--net=host: the pod has a kernel of its own/],
  [['--net=none,default', UUID], /none cannot be combined/],
  [['--private-users=696647680:65536', UUID], /flag --private-users cannot be used with an lkvm stage1/],
  [['--ipc=parent', UUID], /--ipc=parent/],
  [['--ipc=other', UUID], /--ipc=other/],
  [['--mds-token=../x', UUID], /--mds-token/],
  [['--hostname=a b', UUID], /--hostname/],
  [['--dns-conf-mode=resolv=all', UUID], /--dns-conf-mode: resolv=all/],
])('%j is refused', (argv, message) => {
  expect(() => runOptions(argv)).toThrow(message);
});

it('enter, gc, attach and app: values behind = or apart, -- ends the flags', () => {
  expect(parseFlags(['--pid=7', '--appname=app', '--', 'ls', '-l', '--pid=1'], { pid: 'string', appname: 'string' })).toMatchObject({ rest: ['ls', '-l', '--pid=1'] });
  expect(parseFlags(['--debug', '--local-config', '/etc/rkt', UUID], { debug: 'boolean', 'local-config': 'string' })).toMatchObject({ rest: [UUID], unknown: [] });
  expect([...parseFlags(['--action=custom-attach', '--tty-in=true', '--stdin=false', '--app=a', '--debug=false'], { action: 'string', 'tty-in': 'boolean', stdin: 'boolean', app: 'string', debug: 'boolean' }).values]).toEqual([['action', 'custom-attach'], ['tty-in', 'true'], ['stdin', 'false'], ['app', 'a'], ['debug', 'false']]);
});

it('built-in networks are rkt’s; others are looked for by name', () => {
  const built = networksOf([{ name: 'all', args: '' }], '/nonexistent', false);
  expect(built.map(({ name, ipMasq, plugins: [plugin] }) => [name, ipMasq, plugin?.['type']])).toEqual([['default', true, 'ptp'], ['default-restricted', false, 'ptp']]);
  expect(() => networksOf([{ name: 'other', args: '' }], '/nonexistent', false)).toThrow('networks not found: other');
});

it.each([[[]], [['--local-config', '/etc/rkt']], [['..']]])('gc wants a pod’s UUID: %j', async (argv) => {
  await expect(gc(argv)).rejects.toThrow('gc: the last argument is a pod\'s UUID');
});
