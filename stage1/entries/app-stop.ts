import { app } from '../app.ts';
import { start } from '../common/start.ts';

start(app('app-stop'));
