// Findings that are known and shall go. A pattern that meets nothing is a finding itself: take it out then.
export const NOT_YET = [
  /^assembly\/.* has \d+ lines/,
];
