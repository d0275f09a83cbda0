// Preloaded into a process and its workers: the FFI library cannot be loaded, as where its package or its binary is missing.
const Module = require('node:module');

const load = Module._load;
Module._load = function loadButFfi(name, ...rest) {
  if (/koffi|@koromix/.test(name)) throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
  return load.call(this, name, ...rest);
};
