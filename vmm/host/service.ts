/** The service manager of the host, for programs that it starts as services of Type=notify. Needs the FFI library. */
import { writeSync } from 'node:fs';
import { connectUnix } from './net.ts';
import { SOCK_DGRAM } from './uapi/net.ts';

/** sockaddr_un's, with its last byte. */
const LONGEST = 107;

/**
 * Connects to the socket that NOTIFY_SOCKET names (sd_notify(3): a path, or @ and an abstract name). The function that it returns tells READY=1; it
 * needs no name and no socket of its own any more. Throws HostCallError, RangeError.
 */
export function connectServiceManager(name: string): () => void {
  if (!/^[/@]./.test(name) || Buffer.byteLength(name) > LONGEST) throw new RangeError('it is no path of a socket');
  const fd = connectUnix(name, SOCK_DGRAM);
  return () => {
    writeSync(fd, 'READY=1\n');
  };
}
