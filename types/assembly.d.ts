/** The number types of assembly/core/layout.ts and assembly/contract, which both compilers read; a constant stays below 2^53. */
declare type u32 = number;
declare type i32 = number;
declare type u64 = number;
declare type StaticArray<T> = readonly T[];
