import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withSocketPath } from '../../../vmm/owner/socket.ts';

test('a name too long for a socket is shortened; its folder is let go by close, and when the use of it throws', () => {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-socket-'));
  try {
    const folder = join(dir, 'x'.repeat(120));
    mkdirSync(folder);
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const { result, close } = withSocketPath(join(folder, 's'), (path) => path);
    expect(result).toMatch(/^\/proc\/self\/fd\/\d+\/s$/);
    expect(open()).toBe(before + 1);
    close();
    expect(() => withSocketPath(join(folder, 's'), () => {
      throw new Error('no');
    })).toThrow('no');
    expect(open()).toBe(before);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
