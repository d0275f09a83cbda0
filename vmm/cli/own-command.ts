/** Commands of a container's init, for commands of ours. */
import { ownCommand as command, type OwnIo, RemoteBox } from '../api/remote.ts';

/** Its status, and what it said is wrong, as a line. Throws CONTAINER_STATE, CONTAINER_LOST, what `output` and `input` throw. */
export async function ownCommand(socket: string, container: string, args: readonly string[], io: OwnIo): ReturnType<typeof command> {
  return command(await new RemoteBox(socket, `container ${container}`).builtin(args, io.input !== undefined), io);
}
