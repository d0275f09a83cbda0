/** How everything here fails (docs/errors.md). */
export { VmmError } from '../../base/errors.ts';
