/** `source`: path in the checkout, with `void guest(const struct hvm_start_info *)`. `out`: the ELF. */
export function buildRing3(source: string, out: string): void;
/** Ticks of the time-stamp counter a second, measured with a program built at `out`. */
export function buildTsc(out: string): void;
