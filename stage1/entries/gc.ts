import { gc } from '../gc.ts';
import { start } from '../common/start.ts';

start(gc);
