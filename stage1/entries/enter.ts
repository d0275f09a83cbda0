import { enter } from '../enter.ts';
import { start } from '../common/start.ts';

start(enter);
