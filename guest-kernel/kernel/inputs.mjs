// The files of guest-kernel/kernel/ that decide the artifacts' bytes.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = dirname(fileURLToPath(import.meta.url));
const INPUTS = ['build.sh', 'vmm.config', 'vmm-power.patch', 'vmm-start.patch', 'tree/drivers/virt/vmm_power.c', 'COPYING.head'];

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Digest of each input by its path below guest-kernel/kernel/. */
export const inputs = () => Object.fromEntries(INPUTS.map((path) => [path, sha256(readFileSync(join(here, path)))]));
