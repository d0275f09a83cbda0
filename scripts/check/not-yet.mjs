// Findings that are known and shall go. A pattern that meets nothing is a finding itself: take it out then.
export const NOT_YET = [
  // A text that it writes, not code that runs.
  /^assembly\/cpu\/generate\/interp\.mjs: dispatcher has \d+ lines/,
  // The plugins read them: they are in a document for them.
  /PortMapping\.containerPort is used by nothing/,
  // A new floor, whose lists are longer than what it uses as yet.
  /^vmm\/jit\/.* is (used by nothing|exported, and used in its own file only)/,
];
