import { attach } from '../attach.ts';
import { start } from '../common/start.ts';

start(attach);
