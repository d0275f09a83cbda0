import { expect, it } from 'vitest';
import { stuckShare } from '../support/guests/stuck-share.ts';

it('after 30 seconds without an answer of the host the guest gets an I/O error, once told to the user, and goes on', async () => {
  const stuck = await stuckShare();
  try {
    await stuck.said(/status 1/);
    expect(stuck.output()).toMatch(/I\/O error/);
    expect(stuck.output().match(/share data: the host does not answer/g)).toHaveLength(1);
  } finally {
    await stuck.end();
  }
}, 120_000);
