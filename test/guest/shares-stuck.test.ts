import { expect, it } from 'vitest';
import { stuckShare } from '../support/guests/stuck-share.ts';

it.runIf(process.getuid?.() === 0)('a machine ends although a call of the host for one of its shares does not', async () => {
  const stuck = await stuckShare();
  try {
    const start = performance.now();
    const status = await new Promise((resolve) => {
      stuck.vmm.once('close', resolve);
      stuck.vmm.kill('SIGTERM');
    });
    expect({ status, output: stuck.output() }).toMatchObject({ status: 143 });
    // Beside load; alone it is a tenth of a second.
    expect(performance.now() - start).toBeLessThan(5000);
  } finally {
    await stuck.end();
  }
});
