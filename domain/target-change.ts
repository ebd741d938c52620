/** Something that changed on a target, as its cluster tells it afterwards. Never contents. */
export interface TargetChange {
  /** Epoch ms; the cluster's times are whole seconds. */
  atMs: number;
  /** One line; names in it were written by others. */
  what: string;
  /** Of a rollout: the revision that it made, and its images. */
  revision?: number;
  images?: string[];
}
