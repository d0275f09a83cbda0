/** The service manager of the host, for programs that it starts. Needs the FFI library. */
export { connectServiceManager } from '../host/service.ts';
