/** The door of `run`: what it loads is kept as V8's code, and a thread starts beside it (bin/vmm.js). */
import { fileURLToPath } from 'node:url';
import { open } from '../../bin/vmm.js';

open(fileURLToPath(new URL('./stage1-pod.cjs', import.meta.url)), true);
