export { sse_exec } from './fp/sse';
