/** Pods: apps of App Container images that run together in one machine. */
export { bounded, podBounds } from '../pod/bounds.ts';
export { appEnvironment, supportsNotify } from '../pod/environment.ts';
export { inside } from '../pod/inside.ts';
export { type AppPlan, type AppRoot, type Insecure, type PodApp, type PodInput, type PodPlan, planPod, activatedPorts } from '../pod/plan.ts';
export { type AppEnd, appStatus, type PodListener, type PodMachine, type PodNetwork, type PodOptions, metadataEnv, type PodResult, PodRun } from '../pod/run.ts';
export { VolumePlaces } from '../pod/places.ts';
export { namedPorts, podPorts } from '../pod/ports.ts';
export type { AppDocument, PodDocument } from '../metadata/answers.ts';
export { GuestMetadata } from '../metadata/guest.ts';
export { podKey } from '../metadata/key.ts';
export { type StoredPod, storedPod } from '../pod/stored.ts';
export { podSize, type PodSize, type SizeRules } from '../pod/sizes.ts';
