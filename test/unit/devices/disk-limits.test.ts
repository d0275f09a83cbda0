/** Which request of a disk with limits is next, and when. */
import { describe, expect, it } from 'vitest';
import { VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from '../../../assembly/contract/generated/virtio.ts';
import { Ways } from '../../../vmm/devices/disk/limited.ts';
import type { DiskRate } from '../../../vmm/devices/rate.ts';

/** A disk whose requests each move `bytes`; it tells when which tag was served, from 0 ms on. */
function serve(rate: DiskRate, ops: readonly number[], bytes: number): [ms: number, tag: number][] {
  const ways = new Ways(rate, 0);
  ops.forEach((op, tag) => ways.add({ op, offset: 0, iov: 0, count: 1, tag }));
  const served: [number, number][] = [];
  for (let now = 0; !ways.empty; now += Math.max(ways.wait(now), 0)) {
    if (ways.wait(now) > 0) continue;
    ways.serve(now, ({ tag }) => {
      served.push([now, tag]);
      return bytes;
    });
  }
  return served;
}

const [IN, OUT, FLUSH] = [VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH];

describe('a disk with limits', () => {
  it('reads go on while writes wait', () => {
    const order = serve({ write: { bytes: { perSecond: 1000, burst: 1 } } }, [OUT, OUT, IN, IN, IN], 500);
    expect(order).toEqual([[0, 2], [0, 3], [0, 4], [0, 0], [500, 1]]);
  });

  it('each way has its own limit, and both that of the disk', () => {
    expect(serve({ read: { operations: { perSecond: 10, burst: 1 } }, write: { operations: { perSecond: 10, burst: 1 } } }, [IN, OUT, IN, OUT], 1)).toEqual([[0, 0], [0, 1], [100, 2], [100, 3]]);
    expect(serve({ operations: { perSecond: 10, burst: 1 } }, [IN, OUT, IN, OUT], 1).map(([ms]) => ms)).toEqual([0, 100, 200, 300]);
  });

  it('the mean holds for what is larger than a second’s', () => {
    const served = serve({ bytes: { perSecond: 1000, burst: 100 } }, Array<number>(6).fill(OUT), 5000);
    const last = served.at(-1)?.[0] ?? 0;
    expect(last).toBeGreaterThanOrEqual(24_900);
    expect(last).toBeLessThan(25_100);
  });

  it('a flush is behind the writes before it and waits for no limit', () => {
    expect(serve({ write: { operations: { perSecond: 1, burst: 1 } } }, [OUT, FLUSH, OUT], 1)).toEqual([[0, 0], [0, 1], [1000, 2]]);
  });
});
