/** Deliveries being worked on at once. Alertmanagers send one per group and flush, so hundreds mean a storm. */
const MAX_DELIVERIES = 400;
/** Bytes of bodies held at once; parsed, a body takes a few times its size. */
const MAX_BYTES = 128 * 1024 * 1024;

/**
 * Bounds what deliveries may hold in memory at once. What does not fit is answered 503, which Alertmanager tries again at
 * once and with growing pauses, instead of taking the process down with everything already accepted.
 */
export class IntakeCapacity {
  #deliveries = 0;
  #bytes = 0;
  readonly #maxDeliveries: number;
  readonly #maxBytes: number;

  constructor(limits: { maxDeliveries?: number; maxBytes?: number } = {}) {
    this.#maxDeliveries = limits.maxDeliveries ?? MAX_DELIVERIES;
    this.#maxBytes = limits.maxBytes ?? MAX_BYTES;
  }

  /** @returns a function that gives the place back (once, however often it is called); undefined when there is none. */
  take(bytes: number): (() => void) | undefined {
    if (this.#deliveries >= this.#maxDeliveries || this.#bytes + bytes > this.#maxBytes) return undefined;
    this.#deliveries += 1;
    this.#bytes += bytes;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#deliveries -= 1;
      this.#bytes -= bytes;
    };
  }

  get inFlight(): number {
    return this.#deliveries;
  }
}
