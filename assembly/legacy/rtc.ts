/**
 * Real-time clock MC146818 with 128 bytes of CMOS memory, behind ports 0x70 and 0x71: the host's wall clock in UTC. It
 * cannot be set and raises no interrupts.
 */
import { CMOS_STATE, RTC_STATE } from '../core/layout';
import { BUS_PIO, bus_add } from '../core/bus';
import { BUS_RTC } from '../core/kinds';
import { host_wall } from '../core/host';
import { own_fill, own_put8 } from '../core/guest';

const RTC_PORT: u32 = 0x70;

const RTC_SECONDS: u32 = 0;
const RTC_MINUTES: u32 = 2;
const RTC_HOURS: u32 = 4;
const RTC_DAY_OF_WEEK: u32 = 6;
const RTC_DAY_OF_MONTH: u32 = 7;
const RTC_MONTH: u32 = 8;
const RTC_YEAR: u32 = 9;
const RTC_REG_A: u32 = 10;
const RTC_REG_B: u32 = 11;
const RTC_REG_C: u32 = 12;
const RTC_REG_D: u32 = 13;
/** Where PCs keep the century. */
const RTC_CENTURY: u32 = 0x32;

const REG_A_UIP: u32 = 0x80;
const REG_A_DEFAULT: u32 = 0x26; // 32.768 kHz, 1,024 Hz
const REG_B_24H: u32 = 0x02;
const REG_B_BINARY: u32 = 0x04;
const REG_D_VALID: u32 = 0x80;

/** An update is told this long before it happens (data sheet: 244 µs), nanoseconds. */
const UIP_NS: f64 = 244_000;

@unmanaged
class Rtc {
  index: u32;
}

@inline
function state(): Rtc {
  return changetype<Rtc>(<usize>RTC_STATE);
}

const CMOS: usize = <usize>CMOS_STATE;

export function rtc_add(): i32 {
  state().index = 0;
  own_fill(CMOS, 0, 128);
  own_put8(CMOS + RTC_REG_B, REG_B_24H);
  return bus_add(BUS_PIO, RTC_PORT, 2, BUS_RTC, 0);
}

/** `offset`: 0 the index port (write only), 1 the data port. */
export function rtc_read(offset: u32): u32 {
  if (offset == 0) return 0xff;
  const index = state().index;
  switch (index) {
    case RTC_SECONDS: case RTC_MINUTES: case RTC_HOURS: case RTC_DAY_OF_WEEK: case RTC_DAY_OF_MONTH: case RTC_MONTH:
    case RTC_YEAR: case RTC_CENTURY: return form(time_field(index));
    case RTC_REG_A: {
      const ns = host_wall();
      const left = 1e9 - (ns - floor<f64>(ns / 1e9) * 1e9);
      return REG_A_DEFAULT | (left <= UIP_NS ? REG_A_UIP : 0);
    }
    case RTC_REG_C: return 0;
    case RTC_REG_D: return REG_D_VALID;
    default: return load<u8>(CMOS + index);
  }
}

export function rtc_write(offset: u32, value: u32): void {
  const s = state();
  if (offset == 0) {
    s.index = value & 0x7f; // bit 7 masks the NMI
    return;
  }
  switch (s.index) {
    case RTC_SECONDS: case RTC_MINUTES: case RTC_HOURS: case RTC_DAY_OF_WEEK: case RTC_DAY_OF_MONTH: case RTC_MONTH:
    case RTC_YEAR: case RTC_CENTURY: case RTC_REG_A: case RTC_REG_C: case RTC_REG_D: break;
    case RTC_REG_B: own_put8(CMOS + RTC_REG_B, (value & REG_B_BINARY) | REG_B_24H); break;
    default: own_put8(CMOS + s.index, value); break;
  }
}

/** Binary or BCD, as register B says. */
function form(value: u32): u32 {
  if ((load<u8>(CMOS + RTC_REG_B) & REG_B_BINARY) != 0) return value;
  return ((value / 10) << 4) | (value % 10);
}

function time_field(index: u32): u32 {
  const seconds = <i64>nearest_floor(host_wall() / 1e9);
  const in_day = <u32>(seconds % 86400);
  const days = <u32>(seconds / 86400);
  switch (index) {
    case RTC_SECONDS: return in_day % 60;
    case RTC_MINUTES: return (in_day / 60) % 60;
    case RTC_HOURS: return in_day / 3600;
    case RTC_DAY_OF_WEEK: return (days + 4) % 7 + 1; // 1 January 1970 was a Thursday; 1 = Sunday
    default: break;
  }
  // Days to a date of the Gregorian calendar, counting years from March so that leap days end them.
  const z = days + 719468; // since 0000-03-01
  const era = z / 146097;
  const doe = z - era * 146097;
  const yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const mp = (5 * doy + 2) / 153;
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  switch (index) {
    case RTC_DAY_OF_MONTH: return doy - (153 * mp + 2) / 5 + 1;
    case RTC_MONTH: return month;
    case RTC_YEAR: return year % 100;
    default: return year / 100;
  }
}

/** A wall clock before 1970 or beyond 2106 counts as the nearest of the two. */
function nearest_floor(seconds: f64): f64 {
  return seconds >= 0 ? min<f64>(floor<f64>(seconds), 4294967295.0) : 0;
}
