/** The life of containers in command lines, and where podman 4.3 has another answer than vmm: docs/containers.md, "Beside podman", has each reason. */
import type { Said, Step, Words } from './run.ts';

/** What the two say to a step, and why. */
export interface Difference {
  readonly podman: Partial<Said>;
  readonly vmm: Partial<Said>;
  readonly why: string;
}

export interface Case {
  readonly name: string;
  readonly steps: readonly Step[];
  /** By the number of the step. */
  readonly differs: Readonly<Record<number, Difference>>;
}

const one = (name: string, steps: readonly Step[], differs: Readonly<Record<number, Difference>> = {}): Case => ({ name, steps, differs });

/** podman's status is `podman`, vmm's is `vmm`. */
const status = (podman: number, vmm: number, why: string): Difference => ({ podman: { status: podman }, vmm: { status: vmm }, why });
const prints = (podman: string, vmm: string, why: string): Difference => ({ podman: { stdout: podman }, vmm: { stdout: vmm }, why });
/** What podman refuses and vmm does, and the other way round. */
const does = (stdout: string, why: string, refused = 125, code = 0): Difference => ({ podman: { status: refused, stdout: '', stderr: 'ERROR\n' }, vmm: { status: code, stdout, stderr: '' }, why });
const refuses = (stdout: string, why: string): Difference => ({ podman: { status: 0, stdout, stderr: '' }, vmm: { status: 125, stdout: '', stderr: 'ERROR\n' }, why });
const ONE = status(125, 1, 'what cannot be done to a container is 1');
const RM = status(2, 1, '`rm` of what runs is 1');
const OWN = 'vmm’s own errors in `exec` are 125';
const NAME = 'begin with a slash';
const EACH = 'the others are done all the same';
const TAIL = '`logs` takes `-n` and `--tail all`';
const GROUPS = 'the group of the user is among its groups';

const STATE: Words = ['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}', 'one'];
const RUN: Words = ['run', '--name', 'one', 'IMAGE', 'sh', '-c'];
const CREATE: Words = ['create', '--name', 'one', 'IMAGE', 'sh', '-c'];
const READY: Step = { until: 'ready', words: ['logs', 'one'] };
const ENDED: Step = { until: 'exited', words: ['inspect', '-f', '{{.State.Status}}', 'one'] };
const LOOP = 'echo ready; while :; do sleep 0.1; done';
const detached = (script: string, ...options: Words): Words => ['run', '-d', '--name', 'one', ...options, 'IMAGE', 'sh', '-c', script];
const HEEDS = detached(`trap "exit 5" TERM; ${LOOP}`);
const IGNORES = detached(`trap "" TERM; ${LOOP}`);
const IDLE: Words = ['run', '-d', '--name', 'one', 'IMAGE', 'sleep', '1000'];

export const NAMES: readonly Case[] = [
  one('a name that is taken', [[...RUN, 'true'], [...RUN, 'true']]),
  one('a name is free after rm', [[...RUN, 'true'], ['rm', 'one'], [...RUN, 'exit 2'], STATE]),
  one('rename, and the old name is free', [[...RUN, 'true'], ['rename', 'one', 'two'], ['inspect', '-f', '{{.State.Status}}', 'two'], CREATE, ['inspect', '-f', '{{.Name}}', 'two']], { 4: prints('two\n', '/two\n', NAME) }),
  one('rename to a name that is taken', [CREATE, ['create', '--name', 'two', 'IMAGE', 'true'], ['rename', 'one', 'two'], STATE], { 2: ONE }),
  one('rename of what runs', [IDLE, ['rename', 'one', 'two'], ['exec', 'two', 'echo', 'here'], ['rm', '-f', 'two']]),
  one('rename to no name', [CREATE, ['rename', 'one', 'a/b'], ['rename', 'one', ''], STATE], { 1: ONE, 2: ONE }),
  one('names with a slash, a space, a dot in front', [['create', '--name', 'a/b', 'IMAGE', 'true'], ['create', '--name', 'a b', 'IMAGE', 'true'], ['create', '--name', '.a', 'IMAGE', 'true'], ['create', '--name', '-a', 'IMAGE', 'true'], ['ps', '-aq']]),
  one('names with dots, dashes, underscores', [['create', '--name', 'A_b-1.2', 'IMAGE', 'true'], ['inspect', '-f', '{{.State.Status}}', 'A_b-1.2']]),
  one('a name of one letter', [['create', '--name', 'a', 'IMAGE', 'true']]),
  one('the beginning of an id', [CREATE, ['inspect', '-f', '{{.State.Status}}', 'ID8'], ['start', 'ID8'], ['wait', 'ID8'], ['rm', 'ID']]),
  one('a name goes before the beginning of an id', [CREATE, ['rename', 'one', 'ID8'], ['create', '--name', 'two', 'IMAGE', 'true'], ['rename', 'two', 'one'], STATE]),
  one('two create of one name at once', [{ atOnce: [CREATE, CREATE] }, STATE]),
];

export const NOBODY: readonly Case[] = [
  ...[['inspect', 'none'], ['start', 'none'], ['stop', 'none'], ['kill', 'none'], ['restart', 'none'], ['wait', 'none'], ['rename', 'none', 'two'], ['pause', 'none'], ['unpause', 'none']].map((words) => ({ words, differs: { 0: ONE } })),
  ...[['logs', 'none'], ['rm', 'none'], ['exec', 'none', 'true'], ['attach', 'none'], ['cp', 'none:/f', 'DIR/f'], ['port', 'none'], ['diff', 'none'], ['top', 'none'], ['export', '-o', 'DIR/f', 'none']].map((words) => ({ words, differs: {} })),
  { words: ['rm', '-f', 'none'], differs: { 0: { podman: { stderr: '' }, vmm: { stderr: 'ERROR\n' }, why: '`rm -f` tells what is not there' } } },
].map(({ words, differs }) => one(`of a container that is not there: ${words.filter((word) => word !== 'none').join(' ')}`, [words], differs));

export const STATES: readonly Case[] = [
  one('create, start, wait', [[...CREATE, 'exit 3'], STATE, ['start', 'one'], ['wait', 'one'], STATE]),
  one('start of what runs', [IDLE, ['start', 'one'], STATE], { 1: prints('', 'one\n', '`start` prints the name of what runs already') }),
  one('start of two, of which one is not there', [['create', '--name', 'one', 'IMAGE', 'sleep', '1000'], ['start', 'one', 'none'], STATE], { 1: { podman: { status: 125, stdout: '' }, vmm: { status: 1, stdout: 'one\n' }, why: EACH }, 2: prints('created 0 false\n', 'running 0 true\n', EACH) }),
  one('start -a, twice', [[...CREATE, 'echo x; echo y >&2; exit 3'], ['start', '-a', 'one'], ['start', '-a', 'one'], ['logs', 'one']]),
  one('files stay from start to start', [[...CREATE, 'echo x >>/f; cat /f'], ['start', '-a', 'one'], ['start', '-a', 'one']]),
  one('stop', [HEEDS, READY, STATE, ['stop', 'one'], STATE, ['stop', 'one']]),
  one('stop of what ignores it', [IGNORES, READY, ['stop', '-t', '1', 'one'], STATE]),
  one('stop -t 0', [HEEDS, READY, ['stop', '-t', '0', 'one'], STATE]),
  one('stop of what was created', [[...CREATE, 'true'], ['stop', 'one'], STATE]),
  one('restart', [HEEDS, READY, ['restart', '-t', '1', 'one'], STATE, ['stop', '-t', '5', 'one'], ['inspect', '-f', '{{.State.Running}}', 'one']]),
  one('restart of what has ended', [[...RUN, 'echo x'], ['restart', 'one'], { until: 'x\nx\n', words: ['logs', 'one'] }]),
  one('pause and unpause', [IDLE, ['pause', 'one'], ['inspect', '-f', '{{.State.Status}} {{.State.Paused}}', 'one'], ['pause', 'one'], ['unpause', 'one'], STATE, ['unpause', 'one']], { 3: ONE, 6: ONE }),
  one('exec in what is paused', [IDLE, ['pause', 'one'], ['exec', 'one', 'true']], { 2: status(255, 125, OWN) }),
  one('stop of what is paused', [IDLE, ['pause', 'one'], ['stop', '-t', '1', 'one'], STATE], { 2: does('one\n', '`stop` of what is paused stops it'), 3: prints('paused 0 false\n', 'exited 137 false\n', '`stop` of what is paused stops it') }),
  one('rm of what is paused', [IDLE, ['pause', 'one'], ['rm', 'one'], ['rm', '-f', 'one']], { 2: RM }),
  one('pause of what has ended', [[...RUN, 'true'], ['pause', 'one'], ['unpause', 'one']], { 1: ONE, 2: ONE }),
  one('rm of what runs', [IDLE, ['rm', 'one'], STATE, ['rm', '-f', 'one'], STATE], { 1: RM, 4: ONE }),
  one('rm of two, of which one is not there', [[...RUN, 'true'], ['rm', 'none', 'one'], ['ps', '-aq']], { 1: prints('', 'one\n', EACH), 2: prints('ID12\n', '', EACH) }),
  one('wait on two that have ended', [[...RUN, 'exit 9'], ['run', '--name', 'two', 'IMAGE', 'sh', '-c', 'exit 8'], ['wait', 'one', 'two'], ['wait', 'one']]),
  one('attach to what has ended', [[...RUN, 'echo x'], ['attach', 'one']]),
  one('exec, kill in what has ended', [[...RUN, 'true'], ['exec', 'one', 'true'], ['kill', 'one'], STATE], { 1: status(255, 125, OWN), 2: ONE }),
  one('kill of what was created', [CREATE, ['kill', 'one']], { 1: ONE }),
  one('ps and its filters', [IDLE, ['create', '--name', 'two', '--label', 'k=v', 'IMAGE', 'true'], ['run', '--name', 'three', 'IMAGE', 'sh', '-c', 'exit 3'], ['ps', '--format', '{{.Names}}'], ['ps', '-a', '--format', '{{.Names}}'], ['ps', '-a', '--filter', 'status=exited', '--format', '{{.Names}}'], ['ps', '-a', '--filter', 'status=created', '--format', '{{.Names}}'], ['ps', '-a', '--filter', 'exited=3', '--format', '{{.Names}}'], ['ps', '-a', '--filter', 'label=k=v', '--format', '{{.Names}}'], ['ps', '-a', '--filter', 'name=o', '--format', '{{.Names}}'], ['ps', '-a', '--filter', 'label=k', '--filter', 'status=exited', '-q'], ['ps', '-q', '--no-trunc'], ['ps', '-q'], ['ps', '--filter', 'none=1']], { 4: prints('one\ntwo\nthree\n', 'three\ntwo\none\n', 'the newest comes first'), 9: prints('one\ntwo\n', 'two\none\n', 'the newest comes first') }),
  one('ps -l, -n', [[...RUN, 'true'], ['run', '--name', 'two', 'IMAGE', 'true'], ['ps', '-l', '--format', '{{.Names}}'], ['ps', '-n', '1', '--format', '{{.Names}}']]),
  one('inspect State', [[...RUN, 'exit 4'], ['inspect', '-f', '{{.State.Paused}} {{.State.Restarting}} {{.State.OOMKilled}} {{.State.Dead}} {{.State.Pid}} [{{.State.Error}}]', 'one']]),
  one('inspect of two, of which one is not there', [CREATE, ['inspect', '-f', '{{.State.Status}}', 'one', 'none']], { 1: ONE }),
];

export const STATUSES: readonly Case[] = [
  one('0', [[...RUN, 'true'], STATE]),
  one('1', [[...RUN, 'false'], STATE]),
  one('255', [[...RUN, 'exit 255'], STATE]),
  one('125 of the command', [[...RUN, 'exit 125'], STATE]),
  one('an option that is none', [['run', '--no-such', 'IMAGE', 'true'], ['create', '--no-such', 'IMAGE', 'true']]),
  one('no image', [['run', '--rm'], ['create']]),
  one('an image that is not there', [['run', '--pull', 'never', 'no-such-image', 'true']]),
  one('a command that is not there', [['run', '--name', 'one', 'IMAGE', '/no/such'], ['inspect', '-f', '{{.State.Status}}', 'one']]),
  one('a command that is not in PATH, in the background', [['run', '-d', '--name', 'one', 'IMAGE', 'nosuch']]),
  one('a command that cannot be executed', [['run', '--name', 'one', 'IMAGE', '/etc/passwd'], ['run', '--rm', 'IMAGE', '/etc']]),
  one('start of a command that is not there', [['create', '--name', 'one', 'IMAGE', '/no/such'], ['start', 'one'], ['start', '-a', 'one']], { 1: ONE, 2: status(125, 127, '`start -a` has the status that `run` has') }),
  one('a command that a signal ends', [[...RUN, 'sh -c "kill -9 \\$\\$"; exit $?'], STATE]),
  one('PID 1 cannot kill itself', [[...RUN, 'kill -9 $$; kill -TERM $$; echo lives']]),
  one('137 after kill', [IDLE, ['kill', 'one'], ['wait', 'one'], STATE]),
  one('wait ends with 137 at rm -f', [IDLE, { atOnce: [['wait', 'one'], ['rm', '-f', 'one']] }]),
  one('wait at rm --force of what heeds TERM', [HEEDS, READY, { atOnce: [['wait', 'one'], ['rm', '--force', 'one']] }], { 2: prints('0 5\n0 one\n', '0 137\n0 one\n', '`rm -f` kills at once') }),
  one('--rm', [['run', '--rm', '--name', 'one', 'IMAGE', 'sh', '-c', 'exit 6'], ['ps', '-aq']]),
  one('--rm with -d', [['run', '-d', '--rm', '--name', 'one', 'IMAGE', 'sleep', '1000'], ['stop', '-t', '0', 'one'], { until: '', words: ['ps', '-aq'] }]),
  one('values that are none', [['run', '--rm', '-m', 'lots', 'IMAGE', 'true'], ['run', '--rm', '--restart', 'often', 'IMAGE', 'true'], ['run', '--rm', '-e', '=x', 'IMAGE', 'true'], ['run', '--rm', '--ulimit', 'nofile', 'IMAGE', 'true'], ['run', '--rm', '--stop-signal', 'FOO', 'IMAGE', 'true'], ['run', '--rm', '-v', 'DIR:relative', 'IMAGE', 'true'], ['run', '--rm', '-w', 'relative', 'IMAGE', 'pwd'], ['run', '--rm', '-u', 'nosuch', 'IMAGE', 'true'], ['run', '--rm', '--pull', 'often', 'IMAGE', 'true']], { 6: status(126, 125, 'a user or a directory that cannot be is 125'), 7: status(126, 125, 'a user or a directory that cannot be is 125') }),
];

export const SIGNALS: readonly Case[] = [
  one('kill by name, short name and number', [HEEDS, READY, ['kill', '-s', 'SIGTERM', 'one'], ['wait', 'one'], ['start', 'one'], { until: 'ready\nready', words: ['logs', 'one'] }, ['kill', '-s', 'TERM', 'one'], ['wait', 'one'], ['start', 'one'], { until: 'ready\nready\nready', words: ['logs', 'one'] }, ['kill', '-s', '15', 'one'], ['wait', 'one']]),
  one('kill -s of no signal', [IDLE, ['kill', '-s', 'FOO', 'one'], ['kill', '-s', '99', 'one'], STATE]),
  one('a signal that does not end it', [detached(`trap "echo usr1" USR1; ${LOOP}`), READY, ['kill', '-s', 'USR1', 'one'], { until: 'usr1', words: ['logs', 'one'] }, STATE]),
  one('PID 1 without a handler does not heed TERM', [IDLE, ['kill', '-s', 'TERM', 'one'], STATE]),
  one('--stop-signal', [detached(`trap "exit 8" USR1; ${LOOP}`, '--stop-signal', 'USR1'), READY, ['stop', '-t', '60', 'one'], STATE]),
  one('--stop-timeout', [detached(`trap "" TERM; ${LOOP}`, '--stop-timeout', '1'), READY, ['stop', 'one'], STATE]),
  one('signals of the client go to the command', [{ signal: 'SIGTERM', words: [...RUN, `trap "exit 5" TERM; ${LOOP}`] }, STATE]),
  one('another signal of the client', [{ signal: 'SIGUSR1', words: [...RUN, `trap "exit 6" USR1; ${LOOP}`] }]),
];

export const STREAMS: readonly Case[] = [
  one('both streams, and logs of them', [[...RUN, 'echo out; echo err >&2'], ['logs', 'one']]),
  one('logs --tail', [[...RUN, 'seq 5'], ['logs', '--tail', '2', 'one'], ['logs', '--tail', '0', 'one'], ['logs', '-n', '1', 'one'], ['logs', '--tail', 'all', 'one'], ['logs', '--tail', '-1', 'one']], { 3: does('5\n', TAIL), 4: does('1\n2\n3\n4\n5\n', TAIL) }),
  one('logs --since, --until', [[...RUN, 'echo x'], ['logs', '--since', '10m', 'one'], ['logs', '--since', '2100-01-01T00:00:00Z', 'one'], ['logs', '--until', '2000-01-01T00:00:00Z', 'one'], ['logs', '--since', 'noon', 'one']]),
  one('logs -f ends with it', [HEEDS, READY, { atOnce: [['logs', '-f', 'one'], ['stop', 'one']] }]),
  one('logs of what was created', [CREATE, ['logs', 'one']]),
  one('logs of two', [[...RUN, 'true'], ['logs', 'one', 'one']], { 1: refuses('', '`logs` is of one container') }),
  one('a line without an end', [[...RUN, 'printf x'], ['logs', 'one']]),
  one('logs over two starts', [[...RUN, 'echo x'], ['start', '-a', 'one'], ['logs', 'one']]),
  one('--log-driver none', [['run', '--name', 'one', '--log-driver', 'none', 'IMAGE', 'echo', 'x'], ['logs', 'one']]),
  one('no input without -i', [{ stdin: 'x', words: ['run', '--rm', 'IMAGE', 'cat'] }, { stdin: 'x\n', words: ['run', '--rm', '-i', 'IMAGE', 'cat'] }]),
  one('-a stdout', [['run', '--rm', '-a', 'stdout', 'IMAGE', 'sh', '-c', 'echo out; echo err >&2']]),
  one('-t ends lines with \\r\\n', [['run', '--name', 'one', '-t', 'IMAGE', 'sh', '-c', 'test -t 0 && test -t 1 && tty; echo x >&2'], ['logs', 'one']]),
  one('-d -t', [['run', '-d', '-t', '--name', 'one', 'IMAGE', 'echo', 'x'], ['wait', 'one'], ['logs', 'one']]),
  one('-it without a terminal', [['run', '--rm', '-it', 'IMAGE', 'echo', 'x']], { 0: refuses('x\r\n', '`-it` without a terminal is refused') }),
  one('the size of a terminal', [{ tty: ['run', '--rm', '-it', 'IMAGE', 'stty', 'size'] }, IDLE, { tty: ['exec', '-it', 'one', 'sh', '-c', 'sleep 1; stty size'] }, { tty: ['run', '--rm', '-it', 'IMAGE', 'sh', '-c', 'exit 7'] }]),
  one('no terminal without -t', [['run', '--rm', 'IMAGE', 'tty']]),
];

export const RESTARTS: readonly Case[] = [
  one('on-failure:2', [detached('echo x; exit 3', '--restart', 'on-failure:2'), { until: '2 exited 3', words: ['inspect', '-f', '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}', 'one'] }, ['logs', 'one'], ['inspect', '-f', '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}', 'one']]),
  one('on-failure and success', [detached('echo x', '--restart', 'on-failure'), ENDED, ['logs', 'one'], ['inspect', '-f', '{{.RestartCount}}', 'one']]),
  one('always, until stop', [detached('echo x; sleep 0.2', '--restart', 'always'), { until: 'x\nx\nx', words: ['logs', 'one'] }, ['stop', '-t', '0', 'one'], ['inspect', '-f', '{{.State.Running}}', 'one']]),
  one('unless-stopped, killed', [detached(`${LOOP}`, '--restart', 'unless-stopped'), READY, ['exec', 'one', 'sh', '-c', 'kill -9 -1; true'], STATE]),
  one('no', [detached('exit 2', '--restart', 'no'), ['wait', 'one'], STATE, ['inspect', '-f', '{{.RestartCount}} {{.HostConfig.RestartPolicy.Name}}', 'one']]),
  one('--restart with --rm', [['run', '--rm', '--restart', 'always', 'IMAGE', 'true']]),
  one('on-failure without a number', [['create', '--restart', 'on-failure:x', 'IMAGE', 'true'], ['create', '--restart', 'always:3', 'IMAGE', 'true']]),
];

export const EXECS: readonly Case[] = [
  one('exec: status, directory, environment, user', [IDLE, ['exec', 'one', 'sh', '-c', 'echo $PPID; exit 4'], ['exec', '-w', '/etc', '-e', 'A=b', 'one', 'sh', '-c', 'pwd; echo $A'], ['exec', '-u', 'nobody', 'one', 'id'], ['exec', '-u', '7:8', 'one', 'id']], { 3: prints('uid=65534(nobody) gid=65534(nogroup)\n', 'uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n', GROUPS), 4: prints('uid=7 gid=8\n', 'uid=7 gid=8 groups=8\n', GROUPS) }),
  one('exec: no such command', [IDLE, ['exec', 'one', '/no/such'], ['exec', 'one', 'nosuch'], ['exec', 'one', '/etc/passwd']]),
  one('exec: no such directory, user', [IDLE, ['exec', '-w', '/no/such', 'one', 'pwd'], ['exec', '-u', 'nosuch', 'one', 'true']], { 1: status(127, 125, OWN), 2: status(255, 125, OWN) }),
  one('exec without a command', [IDLE, ['exec', 'one']], { 1: status(255, 125, OWN) }),
  one('exec: input', [IDLE, { stdin: 'x\n', words: ['exec', '-i', 'one', 'cat'] }, { stdin: 'x\n', words: ['exec', 'one', 'cat'] }]),
  one('exec -t', [IDLE, ['exec', '-t', 'one', 'echo', 'x']]),
  one('exec -d', [IDLE, ['exec', '-d', 'one', 'sh', '-c', 'echo ready >/f'], { until: 'ready', words: ['exec', 'one', 'cat', '/f'] }], { 1: prints('ID\n', '', '`exec -d` prints nothing') }),
  one('exec that a signal ends', [IDLE, ['exec', 'one', 'sh', '-c', 'kill -9 $$'], ['exec', 'one', 'sh', '-c', 'kill -TERM $$']]),
  one('exec ends with its container', [IGNORES, READY, { atOnce: [['exec', 'one', 'sleep', '1000'], ['stop', '-t', '5', 'one']] }]),
  one('two exec at once', [IDLE, { atOnce: [['exec', 'one', 'sh', '-c', 'sleep 0.2; echo a'], ['exec', 'one', 'sh', '-c', 'sleep 0.2; echo b; exit 3']] }]),
];

export const RACES: readonly Case[] = [
  one('two rm at once', [[...RUN, 'true'], { atOnce: [['rm', 'one'], ['rm', 'one']] }, ['ps', '-aq']]),
  one('two rm -f at once', [IDLE, { atOnce: [['rm', '-f', 'one'], ['rm', '-f', 'one']], quiet: true }, ['ps', '-aq']]),
  one('two start at once', [['create', '--name', 'one', 'IMAGE', 'sleep', '1000'], { atOnce: [['start', 'one'], ['start', 'one']], quiet: true }, STATE]),
  one('two stop at once', [HEEDS, READY, { atOnce: [['stop', 'one'], ['stop', 'one']] }, STATE]),
  one('kill and wait at once', [IDLE, { atOnce: [['kill', 'one'], ['wait', 'one']] }, STATE]),
  one('two wait at once', [detached('sleep 2; exit 3'), { atOnce: [['wait', 'one'], ['wait', 'one']] }]),
  one('stop and start at once', [HEEDS, READY, { atOnce: [['stop', 'one'], ['stop', 'one'], ['stop', 'one']] }, ['start', 'one'], STATE]),
  one('five at once', [{ atOnce: [1, 2, 3, 4, 5].map((n) => ['run', '--rm', 'IMAGE', 'sh', '-c', `echo ${n}; exit ${n}`]) }, ['ps', '-aq']]),
];

export const OPTIONS: readonly Case[] = [
  one('--cidfile', [['create', '--cidfile', 'DIR/id', 'IMAGE', 'true'], { file: 'id' }, ['create', '--cidfile', 'DIR/id', 'IMAGE', 'true'], ['run', '--cidfile', 'DIR/in', 'IMAGE', 'true'], { file: 'in' }], { 3: does('', '`--cidfile` of a container that keeps nothing') }),
  one('cp both ways', [IDLE, ['cp', 'DIR/in', 'one:/f'], ['exec', 'one', 'cat', '/f'], ['cp', 'one:/f', 'DIR/out'], { file: 'out' }, ['cp', 'DIR/in', 'one:/tmp'], ['exec', 'one', 'ls', '/tmp']]),
  one('cp of and to what is not there', [IDLE, ['cp', 'one:/no/such', 'DIR/out'], ['cp', 'DIR/no', 'one:/f'], ['cp', 'DIR/in', 'one:/no/such/'], ['cp', 'DIR/in', 'DIR/out'], { file: 'out' }]),
  one('cp of what does not run', [[...RUN, 'echo x >/f'], ['cp', 'one:/f', 'DIR/out'], { file: 'out' }, ['cp', 'DIR/in', 'one:/g'], ['cp', 'one:/g', 'DIR/g'], { file: 'g' }]),
  one('labels', [['create', '--name', 'one', '--label', 'b=c', '--label', 'a', 'IMAGE', 'true'], ['inspect', '-f', '{{json .Config.Labels}}', 'one']]),
  one('environment', [['run', '--rm', '-e', 'A=1', '-e', 'B=x y', 'IMAGE', 'sh', '-c', 'echo "$A $B $HOME $PATH"'], ['run', '--rm', '--env-file', 'DIR/env', 'IMAGE', 'sh', '-c', 'echo "$A,$B"'], ['run', '--rm', '-e', 'NOT_SET_HERE', 'IMAGE', 'sh', '-c', 'env | grep NOT_SET_HERE']]),
  one('working directory', [['run', '--rm', 'IMAGE', 'pwd'], ['run', '--rm', '-w', '/new/one', 'IMAGE', 'pwd']], { 1: does('/new/one\n', 'a working directory that is not there is made', 126) }),
  one('user', [['run', '--rm', '-u', 'nobody', 'IMAGE', 'id'], ['run', '--rm', '-u', '7:8', 'IMAGE', 'id'], ['run', '--rm', '-u', 'nobody', 'IMAGE', 'sh', '-c', 'echo $HOME; touch /f'], ['run', '--rm', '--group-add', '44', 'IMAGE', 'id']], { 1: prints('uid=7(7) gid=8(8) groups=8(8)\n', 'uid=7 gid=8 groups=8\n', 'a user without a name gets none'), 3: prints('uid=0(root) gid=0(root) groups=44\n', 'uid=0(root) gid=0(root) groups=0(root),44\n', GROUPS) }),
  one('entrypoint', [['run', '--rm', '--entrypoint', 'echo', 'IMAGE', 'a', 'b'], ['run', '--rm', '--entrypoint', '', 'IMAGE', 'echo', 'c']]),
  one('host name', [['run', '--rm', '-h', 'box', 'IMAGE', 'sh', '-c', 'hostname; grep -c box /etc/hosts']]),
  one('--read-only', [['run', '--rm', '--read-only', 'IMAGE', 'touch', '/f'], ['run', '--rm', '--read-only', '--tmpfs', '/t', 'IMAGE', 'touch', '/t/f']]),
  one('-v', [['run', '--rm', '-v', 'DIR:/d', 'IMAGE', 'sh', '-c', 'cat /d/in; echo new >/d/new'], { file: 'new' }, ['run', '--rm', '-v', 'DIR:/d:ro', 'IMAGE', 'touch', '/d/f']]),
  one('--ulimit', [['run', '--rm', '--ulimit', 'nofile=99:100', 'IMAGE', 'sh', '-c', 'ulimit -n; ulimit -Hn']]),
  one('port of what publishes none', [IDLE, ['port', 'one']]),
  one('health check', [['create', '--name', 'one', '--health-cmd', 'true', '--health-retries', '2', 'IMAGE', 'true'], ['inspect', '-f', '{{.Config.Healthcheck.Test}} {{.Config.Healthcheck.Retries}}', 'one'], ['create', '--name', 'two', 'IMAGE', 'true'], ['inspect', '-f', '{{.Path}} {{.Args}}', 'two']], { 3: prints('true [true]\n', 'true []\n', 'Args are those after Path') }),
  one('what was asked', [['create', '--name', 'one', '-w', '/w', '-u', '7', '-h', 'box', '-t', '--stop-signal', 'USR1', 'IMAGE', 'a', 'b'], ['inspect', '-f', '{{.Path}} {{.Args}} {{.Config.WorkingDir}} {{.Config.User}} {{.Config.Hostname}} {{.Config.Tty}}', 'one'], ['inspect', '-f', '{{.Config.StopSignal}}', 'one'], ['inspect', '-f', '{{.Name}}', 'one']], { 3: prints('one\n', '/one\n', NAME) }),
];

export const CASES: readonly (readonly [group: string, cases: readonly Case[]])[] = [['names', NAMES], ['nobody', NOBODY], ['states', STATES], ['statuses', STATUSES], ['signals', SIGNALS], ['streams', STREAMS], ['restarts', RESTARTS], ['exec', EXECS], ['races', RACES], ['options', OPTIONS]];
