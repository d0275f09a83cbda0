/** Conversations with the process that owns a container or pod. */
export { DETACH, DONE, EXIT, FAILED, type Frame, FrameReader, frame, number32, RESIZE, SIGNAL, STDERR, STDIN, STDOUT, TAKEN } from '../owner/frames.ts';
export { sent } from '../owner/sent.ts';
