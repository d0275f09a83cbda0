/** Containers that another process owns, as boxes: for clients, which are small. */
export { type OwnIo, ownCommand } from '../sandbox/own-command.ts';
export { RemoteBox } from '../sandbox/remote-box.ts';
