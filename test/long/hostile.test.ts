/** A million random hostile drivers, shared out among the devices. */
import { hostileTests } from '../support/devices/hostile-tests.ts';

hostileTests(Number(process.env.VMM_CASES ?? 200_000));
