import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The image store of a whole test run: what tests import is not left in the store of whoever runs them. Test files that
 * look at a store have one of their own.
 */
export default function setup(): () => void {
  const store = mkdtempSync(join(tmpdir(), 'vmm-test-store-'));
  chmodSync(store, 0o755);
  process.env['VMM_STORE'] = store;
  return () => rmSync(store, { recursive: true, force: true });
}
