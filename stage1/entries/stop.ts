import { stop } from '../stop.ts';
import { start } from '../common/start.ts';

start(stop);
