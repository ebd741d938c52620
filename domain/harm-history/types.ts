/** Harm over time as it is shown to people: plain JSON, so that it passes through workflow history and records. */

/** Outputs classified and found harmful in one bucket of time; nothing classified is a gap, not a rate of zero. */
export interface HarmPoint {
  /** Start of the bucket, epoch ms. */
  atMs: number;
  harmful: number;
  classified: number;
}

/** What was read from Prometheus: every bucket of the range in order, those without outputs too. */
export interface HarmReading {
  stepMs: number;
  points: HarmPoint[];
  /** Why there are no points, or what is not right with them. Holds no text of labels or models. */
  reason?: string;
}

/** What an incident keeps: compact, at most `MAX_BUCKETS` long. Bucket i begins at `startMs + i * stepMs`. */
export interface HarmHistory {
  stepMs: number;
  startMs: number;
  harmful: number[];
  classified: number[];
}
