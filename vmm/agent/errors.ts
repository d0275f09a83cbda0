import { VmmError } from '../../base/errors.ts';
import * as P from './generated/protocol.ts';

/** Stable codes of the guest's error replies, by their number in the protocol. */
const CODES: Readonly<Record<number, string>> = {
  [P.ERR_PROTOCOL]: 'AGENT_PROTOCOL',
  [P.ERR_UNKNOWN_TYPE]: 'AGENT_UNKNOWN_TYPE',
  [P.ERR_UNSUPPORTED]: 'AGENT_UNSUPPORTED',
  [P.ERR_INVALID]: 'AGENT_INVALID',
  [P.ERR_NOT_FOUND]: 'AGENT_NOT_FOUND',
  [P.ERR_EXISTS]: 'AGENT_EXISTS',
  [P.ERR_LIMIT]: 'AGENT_LIMIT',
  [P.ERR_DEVICE]: 'AGENT_DEVICE',
  [P.ERR_ROOT]: 'AGENT_ROOT',
  [P.ERR_MOUNT]: 'AGENT_MOUNT',
  [P.ERR_USER]: 'AGENT_USER',
  [P.ERR_CWD]: 'AGENT_CWD',
  [P.ERR_COMMAND_NOT_FOUND]: 'AGENT_COMMAND_NOT_FOUND',
  [P.ERR_COMMAND_NOT_EXECUTABLE]: 'AGENT_COMMAND_NOT_EXECUTABLE',
  [P.ERR_CGROUP]: 'AGENT_CGROUP',
  [P.ERR_NAMESPACE]: 'AGENT_NAMESPACE',
  [P.ERR_SECURITY]: 'AGENT_SECURITY',
  [P.ERR_RLIMIT]: 'AGENT_RLIMIT',
  [P.ERR_FILE]: 'AGENT_FILE',
  [P.ERR_TTY]: 'AGENT_TTY',
  [P.ERR_SYSTEM]: 'AGENT_SYSTEM',
};

/** What the guest answered to a request that it could not carry out. */
export class AgentError extends VmmError {
  /** ERR_* of the protocol. */
  readonly number: number;
  /** Linux errno in the guest, 0 when none belongs to it. */
  readonly errno: number;

  constructor(number: number, errno: number, text: string) {
    super(CODES[number] ?? 'AGENT_ERROR', text);
    this.name = 'AgentError';
    this.number = number;
    this.errno = errno;
  }

  /** The exit status that a container tool gives for it: 127 no such command, 126 not executable, else 125. */
  get exitStatus(): number {
    if (this.number === P.ERR_COMMAND_NOT_FOUND) return 127;
    return this.number === P.ERR_COMMAND_NOT_EXECUTABLE ? 126 : 125;
  }
}

export function protocolError(what: string): VmmError {
  return new VmmError('AGENT_PROTOCOL', `agent protocol: ${what}`, {
    hint: 'the guest\'s init and this vmm may be of different versions: run "npm run setup"',
  });
}
