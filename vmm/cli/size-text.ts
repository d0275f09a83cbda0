const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes for people. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const DOCKER_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Bytes as Docker's lists of images have them (go-units, HumanSizeWithPrecision): one word. */
export function dockerSize(bytes: number, digits = 3): string {
  const unit = DOCKER_UNITS.findIndex((_, i) => bytes < 1000 ** (i + 1) || i === DOCKER_UNITS.length - 1);
  return `${Number((bytes / 1000 ** unit).toPrecision(digits))}${DOCKER_UNITS[unit]}`;
}
