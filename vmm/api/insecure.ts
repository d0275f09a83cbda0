/** What of an ACI's security a user may give up. */
export { parseInsecure } from '../../image/appc/insecure.ts';
