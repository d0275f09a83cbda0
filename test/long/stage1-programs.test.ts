/** A pod of five apps under rkt's stage1: PostgreSQL and nginx of Debian's packages, who talk over the pod's loopback, and are reached by a published port. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PlayedHost } from '../stage1/played-host.ts';
import { type AppSpec, buildStage1, ended, Stage0 } from '../stage1/stage0.ts';

const ROOT = process.getuid?.() === 0;
const POSTGRES = '/usr/lib/postgresql/15/bin';
let played: PlayedHost;
let stage0: Stage0;
let rootfs: string;
beforeAll(() => {
  if (!ROOT) return;
  const missing = [...(existsSync(POSTGRES) ? [] : ['postgresql-15']), ...(existsSync('/usr/sbin/nginx') ? [] : ['nginx-light'])];
  if (missing.length > 0) execFileSync('apt-get', ['-qq', '-y', '--no-install-recommends', 'install', ...missing], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 600_000 });
  played = new PlayedHost();
  rootfs = join(played.dir, 'rootfs');
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'etc', 'root', 'usr', 'run', 'var/lib/nginx', 'var/log/nginx']) mkdirSync(join(rootfs, name), { recursive: true });
  chmodSync(join(rootfs, 'tmp'), 0o1777);
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(rootfs, name));
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\npostgres:x:1000:1000:pg:/tmp:/bin/sh\n');
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\npostgres:x:1000:\n');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path /tmp/${name};`).join(' ');
  writeFileSync(join(rootfs, 'etc/nginx.conf'), `daemon off; user root; pid /tmp/nginx.pid; error_log stderr; events {} http { access_log off; ${temporary} server { listen 80; location / { return 200 "from nginx\\n"; } } }\n`);
  stage0 = new Stage0(buildStage1(), played.host);
}, 900_000);
afterAll(() => {
  if (!ROOT) return;
  stage0.close();
  played.close();
});

const USR = { volume: 'usr', path: '/usr' };
const app = (name: string, script: string, more: Record<string, unknown> = {}, mounts: readonly Record<string, string>[] = []): AppSpec => ({
  name,
  rootfs,
  app: { exec: ['/bin/bash', '-c', script], user: '0', group: '0', environment: [{ name: 'PATH', value: `${POSTGRES}:/usr/sbin:/usr/bin:/sbin:/bin` }, { name: 'LC_ALL', value: 'C' }], ...more },
  entry: { mounts: [USR, ...mounts] },
});

it.skipIf(!ROOT)('a database, a web server, who asks both, and two beside them', { timeout: 1_800_000 }, async () => {
  const data = { volume: 'data', path: '/pg' };
  const pod = stage0.prepare({
    apps: [
      app('db', "initdb -D /pg/data -A trust --no-locale -E UTF8 > /tmp/initdb.log 2>&1 || { cat /tmp/initdb.log; exit 1; }; exec postgres -D /pg/data -k /tmp -c listen_addresses=127.0.0.1 -c shared_buffers=16MB", { user: 'postgres', group: 'postgres' }, [data]),
      app('web', 'exec nginx -c /etc/nginx.conf', { ports: [{ name: 'http', protocol: 'tcp', port: 80 }] }),
      app('check', `until psql -qAt -h 127.0.0.1 -U postgres -d postgres -c 'create table t as select g from generate_series(1, 1000) g'; do sleep 1; done 2> /dev/null
        psql -qAt -h 127.0.0.1 -U postgres -d postgres -c 'select sum(g) from t'
        exec 3<> /dev/tcp/127.0.0.1/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -1 <&3
        echo checked; exec sleep 100000`),
      app('one', 'exec sleep 100000'),
      app('two', 'exec sleep 100000'),
    ],
    pod: { volumes: [{ name: 'usr', kind: 'host', source: '/usr', readOnly: true }, { name: 'data', kind: 'empty', mode: '0777' }], ports: [{ name: 'http', hostPort: 8080 }] },
  });
  const running = pod.run(['--net=default', `--local-config=${played.config}`]);
  await running.said('checked');
  expect(readFileSync(join(pod.dir, 'logs/check.out'), 'utf8')).toBe('500500\nfrom nginx\nchecked\n');
  const outside = await ended(spawn('nsenter', [`--net=/run/netns/${played.world}`, 'busybox', 'nc', '-w', '20', '10.8.0.1', '8080'], { stdio: 'pipe' }), 'GET / HTTP/1.0\r\n\r\n');
  expect(outside.stdout).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*from nginx\n$/);
  expect((await pod.enter([`${POSTGRES}/psql`, '-qAt', '-h', '/tmp', '-U', 'postgres', '-d', 'postgres', '-c', 'select count(*) from t'], 'db')).stdout).toBe('1000\n');
  expect((await pod.stop()).status).toBe(0);
  expect((await running.end()).status).toBe(0);
  // PostgreSQL ends in order on SIGTERM.
  expect(pod.status('db')).toBe('0\n');
  expect((await pod.gc()).status).toBe(0);
  pod.remove();
});
