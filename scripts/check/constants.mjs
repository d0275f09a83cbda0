// Numbers have one home: those of the agent protocol, of errno and of the core's border are not typed a second time.
import { protocolStale } from '../protocol.mjs';

export function constants(report) {
  const stale = protocolStale();
  if (stale !== undefined) report(stale);
}
