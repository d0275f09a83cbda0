/** What a machine that runs in another process is given: opened here, by who has the right to. */
export { type OpenDisk, openDisk } from '../devices/disk/open.ts';
export { openCable } from '../devices/net/open.ts';
export { DescriptorInbox, LOT_MS, openName, sendDescriptors, TOKEN_BYTES } from '../host/descriptors.ts';
