import { expect, it } from 'vitest';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { sweep } from '../../support/devices/fs-random.ts';

it('20,000 random requests: the device answers on, and nothing outside the share changes', () => {
  const results = sweep(1, 20_000);
  // Not refused as a whole: what matters went well, too.
  for (const opcode of [F.FUSE_LOOKUP, F.FUSE_CREATE, F.FUSE_WRITE, F.FUSE_READ, F.FUSE_READDIRPLUS, F.FUSE_RENAME2, F.FUSE_UNLINK, F.FUSE_SETATTR]) expect(results.get(`${opcode} 0`) ?? 0, `operation ${opcode}`).toBeGreaterThan(5);
});
