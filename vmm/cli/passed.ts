/** Descriptors that one process passes to the owner of a container, wherever its sockets lie. */
import { DescriptorInbox, sendDescriptors } from '../api/devices.ts';
import { withSocketPath } from '../api/owner.ts';

/** Throws HostCallError, FFI_MISSING. */
export function inboxAt(socket: string): DescriptorInbox {
  const { result, close } = withSocketPath(socket, (short) => new DescriptorInbox(socket, short));
  close();
  return result;
}

/** False: there is no room just now. Throws HostCallError, FFI_MISSING. */
export function passDescriptors(socket: string, token: Uint8Array, fds: readonly number[]): boolean {
  try {
    withSocketPath(socket, (short) => sendDescriptors(short, token, fds)).close();
    return true;
  } catch (error) {
    if ((error as { readonly errnoName?: string }).errnoName === 'EAGAIN') return false;
    throw error;
  }
}
