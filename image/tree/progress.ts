/** Told again and again while an image is fetched, read, written or sent. */
export type Progress = (state: ProgressState) => void;

export interface ProgressState {
  readonly stage: 'fetching' | 'reading' | 'writing' | 'sending';
  /** Bytes so far, of `total` where that is known. */
  readonly done: number;
  readonly total: number | undefined;
  /** Layers that are there, of so many. */
  readonly parts?: readonly [done: number, all: number];
}
