/** Where the interpreter meets the floating-point side. */
export { sse_exec } from '../fp/sse';
export { x87_exec, x87_fwait } from '../fp/x87';
