// What a worker thread begins with (vmm/threads/pool.ts): the door of dist/thread-jobs.cjs. It is bundled into dist/thread.cjs.
'use strict';
const { join } = require('node:path');

require('./vmm.js').open(join(__dirname, 'thread-jobs.cjs'), false);
