/** appc's executor rules under rkt's stage1, in the manner of the specification's validator: our own static checkers look from inside. */
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildStatic } from '../support/guests/programs.ts';
import { ownStage0 } from './own-stage0.ts';
import type { AppSpec } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const own = ownStage0();

it.skipIf(!ROOT)('the main app and its sidekick pass, twice: each pod has clean roots and volumes', async () => {
  const rootfs = join(own.dir, 'validator');
  mkdirSync(join(rootfs, 'opt/acvalidator'), { recursive: true });
  copyFileSync(buildStatic('appc'), join(rootfs, 'check'));
  chmodSync(join(rootfs, 'check'), 0o755);
  const image = { annotations: [{ name: 'created', value: '2026-01-01T00:00:00Z' }, { name: 'lorem', value: 'ipsum' }] };
  const app = (mode: string, more: Record<string, unknown>): AppSpec => ({ name: `ace-validator-${mode}`, rootfs, image, app: { exec: ['/check', mode], user: '0', group: '0', mountPoints: [{ name: 'database', path: '/db' }], ...more } });
  const main = app('main', {
    workingDirectory: '/opt/acvalidator', environment: [{ name: 'IN_ACE_VALIDATOR', value: 'correct' }], ports: [{ name: 'www', protocol: 'tcp', port: 80 }], isolators: [{ name: 'resource/memory', value: { limit: '1G' } }],
    eventHandlers: [{ name: 'pre-start', exec: ['/check', 'prestart'] }, { name: 'post-stop', exec: ['/check', 'poststop'] }],
  });
  for (const overlay of [true, false]) {
    const pod = own.stage0.prepare({ apps: [main, app('sidekick', {})], pod: { volumes: [{ name: 'database', kind: 'empty' }] }, overlay });
    const { status, stdout, stderr } = await pod.run().end();
    expect({ status, stderr, said: stdout.split('\n').sort() }).toEqual({ status: 0, stderr: '', said: ['', 'main OK', 'poststop OK', 'prestart OK', 'sidekick OK'] });
  }
});
