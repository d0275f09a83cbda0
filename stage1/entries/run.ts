import { run } from '../run/main.ts';
import { start } from '../common/start.ts';

start(run);
