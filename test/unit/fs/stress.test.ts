import { it } from 'vitest';
import { fsstress, fsx } from '../../support/devices/fs-stress.ts';

it('5,000 operations on one file: guest and host see the model’s bytes', () => fsx(1, 5000));

it('5,000 operations on names: guest and host see the model’s tree', () => fsstress(1, 5000));
