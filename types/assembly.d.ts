/** The number types of assembly/core/layout.ts, which both compilers read. */
declare type u32 = number;
declare type i32 = number;
