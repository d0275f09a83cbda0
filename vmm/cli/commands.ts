import type { Command } from './options.ts';

/** The tables of all commands: what completion and the manual are made from. Loaded only for these. */
export async function commandTables(): Promise<readonly Command[]> {
  const [{ RUN }, { BOOT }, { ACCEL }, { imageCommands }, { volumeCommands }, { PULL_COMMAND }, { PUSH_COMMAND }, { aciCommands }, { trustCommands }, { LOGIN, LOGOUT }, { containersCommands }, { CP_COMMAND }, { lifeCommands }, { METADATA_SERVICE }, { BENCH }, { deviceCommands }, { systemCommands }] = await Promise.all([
    import('./run-options.ts'), import('./boot-options.ts'), import('./accel.ts'), import('./image.ts'), import('./volume.ts'), import('./pull.ts'), import('./push.ts'), import('./aci.ts'), import('./trust.ts'), import('./login.ts'), import('./containers.ts'), import('./cp.ts'), import('./life.ts'), import('./metadata-service.ts'), import('./bench.ts'), import('./device.ts'), import('./system.ts'),
  ]);
  const completion: Command = { name: 'completion', synopsis: 'bash|zsh|fish', about: 'prints a script that makes a shell complete command lines', options: {} };
  return [RUN, BOOT, ...imageCommands(), ...volumeCommands(), PULL_COMMAND, PUSH_COMMAND, ...(await aciCommands()), ...trustCommands(), LOGIN, LOGOUT, ...containersCommands(), CP_COMMAND.command, ...lifeCommands(), ...deviceCommands(), ...systemCommands(), METADATA_SERVICE, ACCEL, BENCH, completion];
}
