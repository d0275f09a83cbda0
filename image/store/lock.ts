import { setTimeout as sleep } from 'node:timers/promises';
import { VmmError } from '../../base/errors.ts';
import type { LoadHost } from '../tree/host.ts';

/** Between two tries for a lock that another process holds. Waiting in the kernel would hold up this thread, and signals with it. */
const TRY_MS = 10;

/**
 * Locks an open file against all others that lock it (flock(2)), waiting until it is free. The lock belongs to the open
 * file description: the kernel releases it when `fd` is closed, and with the process, however that ends. Throws STORE_LOCK.
 */
export async function lockFile(fd: number, host: LoadHost | undefined): Promise<void> {
  while (!(await tryLock(fd, host))) await sleep(TRY_MS);
}

/** `shared`: beside others that lock it so; a lock that is held already becomes this one, but not in one step. False when somebody else holds it. Throws STORE_LOCK. */
export async function tryLock(fd: number, host: LoadHost | undefined, how: 'alone' | 'shared' = 'alone'): Promise<boolean> {
  const byHost = (await host?.())?.tryLock;
  if (byHost === undefined) return tryLockByProgram(fd, how);
  try {
    return byHost(fd, how);
  } catch (error) {
    throw cannotLock(error);
  }
}

/**
 * Without the FFI library: util-linux's flock (busybox has one too) locks the descriptor that it inherits, which is the same
 * open file description. So the lock stays ours when the program has ended.
 */
async function tryLockByProgram(fd: number, how: 'alone' | 'shared'): Promise<boolean> {
  // Loaded when it is needed: a run takes no lock.
  const { spawn } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    const child = spawn('flock', [how === 'shared' ? '-s' : '-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.on('error', (error) => reject(cannotLock(error)));
    child.on('close', (status) => {
      if (status === 0 || status === 1) resolve(status === 0);
      else reject(cannotLock(new Error(`flock ended with ${status}`)));
    });
  });
}

function cannotLock(cause: unknown): VmmError {
  return new VmmError('STORE_LOCK', `the image store cannot be locked: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
    hint: 'it needs the FFI library or the program flock (util-linux), and a file system that has locks',
  });
}
