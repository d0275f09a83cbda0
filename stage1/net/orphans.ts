/** Plugins that outlive the entry point that started them: a killed one cannot end them, and what they still do would come after gc. */
import { readdirSync, readFileSync } from 'node:fs';

const WAIT_MS = 10;
const MOST = 500;

/** Ends all processes that were started for this pod's networks, and waits until they are gone. */
export async function endPlugins(uuid: string): Promise<void> {
  for (let round = 0; round < MOST; round++) {
    const left = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isFor(name, uuid));
    if (left.length === 0) return;
    for (const pid of left) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}

function isFor(pid: string, uuid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`CNI_CONTAINERID=${uuid}`);
  } catch {
    return false;
  }
}
