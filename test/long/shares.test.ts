/** Real programs on a share, and as their /usr: this host's own, natively and in a guest; and a database whose machine is killed. Debian's git, gcc, make, sqlite3, postgresql. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BIN, ROOT, vmm } from '../support/cli/cli.ts';

const POSTGRES = '/usr/lib/postgresql/15/bin';
const OPTIONS = ['-i', '-q', '--accel', 'wasm', '-m', '512m', '--cpus', '2', '-v', '/usr:/usr:ro'];
let dir: string;
let image: string;
const env = (): { VMM_STORE: string } => ({ VMM_STORE: join(dir, 'store') });

beforeAll(() => {
  const missing = ['git', 'sqlite3', 'gcc', 'make'].filter((name) => !existsSync(`/usr/bin/${name}`));
  if (!existsSync(POSTGRES)) missing.push('postgresql-15');
  if (missing.length > 0) execFileSync('apt-get', ['-qq', '-y', '--no-install-recommends', 'install', ...missing], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  dir = mkdtempSync(join(tmpdir(), 'vmm-shares-'));
  image = join(dir, 'image');
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'etc', 'root', 'usr', 'work']) mkdirSync(join(image, name), { recursive: true });
  chmodSync(join(image, 'tmp'), 0o1777);
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(image, name));
  writeFileSync(join(image, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\npostgres:x:1000:1000:pg:/work:/bin/sh\n');
  writeFileSync(join(image, 'etc/group'), 'root:x:0:\npostgres:x:1000:\n');
}, 600_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const PROGRAMS = `set -e
export HOME=/root PATH=/usr/bin:/bin LC_ALL=C GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE=2020-01-01T00:00:00Z GIT_COMMITTER_DATE=2020-01-01T00:00:00Z
cd /work; mkdir repo; cd repo; git init -q -b main .
for i in $(seq 1 200); do echo "file $i" > f$i; done; mkdir d; echo x > d/y; ln -s d/y l
git add -A; git commit -qm one; git status --short | wc -l; git rev-parse HEAD
echo change > f5; rm f6; git mv f7 g7; git status --short
cd ..; git clone -q repo clone; cd clone; git fsck 2>&1; git status --short | wc -l; git log --oneline | wc -l
cd ..; mkdir c; cd c
for i in 1 2 3 4 5 6; do printf '#include <stdio.h>\\nint f%d(int x){return x*%d;}\\n' $i $i > f$i.c; done
printf 'int f1(int),f2(int),f3(int),f4(int),f5(int),f6(int);\\n#include <stdio.h>\\nint main(void){printf("%%d\\\\n",f1(1)+f2(1)+f3(1)+f4(1)+f5(1)+f6(1));return 0;}\\n' > main.c
printf 'OBJ=main.o f1.o f2.o f3.o f4.o f5.o f6.o\\nprog: $(OBJ)\\n\\tgcc -o $@ $(OBJ)\\n%%.o: %%.c\\n\\tgcc -c -o $@ $<\\n' > Makefile
make -s -j4; ./prog; make -q && echo up to date
cd ..; sqlite3 db 'pragma journal_mode=wal; create table t(a integer primary key, b text); begin; with recursive n(i) as (select 1 union all select i+1 from n where i<2000) insert into t select i, hex(i) from n; commit; select count(*), sum(a) from t; pragma integrity_check;'
sqlite3 db 'pragma journal_mode=delete; update t set b=b||"x"; select sum(length(b)) from t; vacuum; pragma integrity_check;'
rm -rf clone; ls
`;

const CHROOT = 'mount --bind "$1" "$0/work"; mount --rbind /usr "$0/usr"; mount --rbind /dev "$0/dev"; mount -t proc none "$0/proc"; exec chroot "$0" /bin/sh -s';

it('git, gcc with make -j4 and sqlite, on a share, from a read-only one: output as natively', { timeout: 1_800_000 }, async () => {
  const [native, shared] = ['native', 'shared'].map((name) => join(dir, name)) as [string, string];
  mkdirSync(native);
  mkdirSync(shared);
  const expected = execFileSync('unshare', ['-m', 'sh', '-c', CHROOT, image, native], { input: PROGRAMS, encoding: 'utf8' });
  expect(expected).toMatch(/21\nup to date\nwal\n2000\|2001000\nok\n/);
  const { status, stdout, stderr } = await vmm(['run', ...OPTIONS, '-v', `${shared}:/work`, image, '/bin/sh', '-s'], { stdin: PROGRAMS, env: env(), limit: 1_700_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.toString()).toBe(expected);
});

/** Packages that this checkout has, as tarballs without dependencies, and a lock file for them: nothing is asked of a registry. */
function lockedPackages(at: string): void {
  const dependencies: Record<string, string> = {};
  for (const name of ['fast-check', 'chai', 'typescript']) {
    const copy = join(at, 'sources', name);
    cpSync(join(ROOT, 'node_modules', name), copy, { recursive: true, filter: (path) => !path.endsWith('.map') });
    const { dependencies: _, devDependencies: __, scripts: ___, ...manifest } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')) as Record<string, unknown>;
    writeFileSync(join(copy, 'package.json'), JSON.stringify(manifest));
    const [{ filename = '' } = {}] = JSON.parse(execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', at, copy], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as { filename?: string }[];
    dependencies[name] = `file:./${filename}`;
  }
  writeFileSync(join(at, 'package.json'), JSON.stringify({ name: 'work', version: '1.0.0', dependencies }));
  execFileSync('npm', ['install', '--offline', '--package-lock-only', '--no-audit', '--no-fund'], { cwd: at, stdio: 'ignore' });
  rmSync(join(at, 'sources'), { recursive: true });
}

const INSTALLED = `export HOME=/work/home PATH=/usr/bin:/bin LC_ALL=C
cd /work && npm ci --offline --no-audit --no-fund --loglevel=error > npm.log 2>&1 || { cat npm.log; exit 1; }
find node_modules -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum; find node_modules | wc -l; node -e 'console.log(require("typescript").version)'
`;

it('npm ci of a few packages on a share: the tree that it makes natively', { timeout: 1_800_000 }, async () => {
  const [native, shared] = ['npm-native', 'npm-shared'].map((name) => join(dir, name)) as [string, string];
  mkdirSync(native);
  lockedPackages(native);
  cpSync(native, shared, { recursive: true });
  const expected = execFileSync('unshare', ['-m', 'sh', '-c', CHROOT, image, native], { input: INSTALLED, encoding: 'utf8' });
  expect(expected).toMatch(/^[0-9a-f]{64} {2}-\n\d{3,}\n\d+\.\d+\.\d+\n$/);
  const { status, stdout, stderr } = await vmm(['run', ...OPTIONS, '-m', '1g', '-v', `${shared}:/work`, image, '/bin/sh', '-s'], { stdin: INSTALLED, env: env(), limit: 1_700_000 });
  expect({ status, stderr, stdout: stdout.toString() }).toEqual({ status: 0, stderr: '', stdout: expected });
});

const AS = `set -e
export PATH=${POSTGRES}:/usr/bin:/bin LC_ALL=C
as() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
start() { as pg_ctl -D /pg/data -w -t 600 -l /tmp/log -o "-k /tmp -c listen_addresses='' -c shared_buffers=16MB" start > /dev/null || { cat /tmp/log; exit 1; }; }
sql() { as psql -qAt -h /tmp -d postgres -c "$1"; }
`;
const COMMITS = `${AS}mkdir -p /pg/data; chown 1000:1000 /pg/data
as initdb -D /pg/data -A trust --no-locale -E UTF8 > /tmp/initdb.log 2>&1 || { cat /tmp/initdb.log; exit 1; }
start
sql 'create table t(a int primary key, b text)'
i=0; while :; do i=$((i+1)); sql "insert into t select g, repeat('x', g % 100) from generate_series($i * 100 - 99, $i * 100) g" && echo "committed $i"; done
`;
const RECOVERED = `${AS}rm -f /pg/data/postmaster.pid
start
grep -o 'automatic recovery in progress' /tmp/log
sql "select count(*) = max(a) and sum(length(b)) = sum(a % 100), max(a) from t; reindex table t; select count(*) from t where a > 0"
as pg_ctl -D /pg/data -m fast stop > /dev/null
`;

it('PostgreSQL on a named volume: what was committed before kill -9 of the VMM is there after it', { timeout: 3_600_000 }, async () => {
  const args = ['run', ...OPTIONS, '-v', 'pg:/pg', image, '/bin/bash', '-s'];
  const child = spawn(process.execPath, ['--', BIN, ...args], { env: { PATH: process.env['PATH'], HOME: dir, ...env() }, stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  child.stdin.end(COMMITS);
  let text = '';
  for await (const chunk of child.stdout) {
    text += chunk;
    if (/^committed 5$/m.test(text)) break;
  }
  expect(text).toMatch(/^committed 5$/m);
  child.kill('SIGKILL');
  await gone;
  const committed = 100 * Number([...text.matchAll(/^committed (\d+)$/gm)].at(-1)?.[1]);
  const { status, stdout, stderr } = await vmm(args, { stdin: RECOVERED, env: env(), limit: 1_700_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const [, whole, most, counted] = /^automatic recovery in progress\n(.)\|(\d+)\n(\d+)\n$/.exec(stdout.toString()) ?? [];
  expect([whole, Number(most) >= committed && committed >= 500, counted]).toEqual(['t', true, most]);
});
