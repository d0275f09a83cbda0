/** Random hostile drivers against each device, a few for each run of the tests; test/long has the many. VMM_CASES sets how many. */
import { hostileTests } from '../../support/devices/hostile-tests.ts';

hostileTests(Number(process.env.VMM_CASES ?? 100));
