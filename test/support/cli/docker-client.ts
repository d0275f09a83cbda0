import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PATH = '/usr/bin/docker';

/** Path of Docker's own client where it is here, and of version 20.10: others say other things. */
export const DOCKER = existsSync(PATH) && spawnSync(PATH, ['--version'], { encoding: 'utf8', timeout: 60_000 }).stdout.includes('version 20.10.') ? PATH : undefined;
