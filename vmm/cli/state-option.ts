import { value } from './options.ts';

/** Where the containers of a command are. */
export const ROOT = value('DIR', 'where containers are kept (default: beside the images; sockets in /run/vmm, $XDG_RUNTIME_DIR/vmm)');
