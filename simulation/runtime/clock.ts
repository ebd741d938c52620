/** What is due when: by time, then in the order in which it was asked for. */
export interface Due {
  atMs: number;
  order: number;
  /** Set when it is not wanted any more. */
  cancelled: boolean;
  run: () => void | Promise<void>;
}

/** Virtual time and the queue of what happens in it: a binary heap, since a long wait polls thousands of times. */
export class Clock {
  nowMs: number;
  private readonly heap: Due[] = [];
  private orders = 0;

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  at(atMs: number, run: Due['run']): Due {
    const due = { atMs: Math.max(atMs, this.nowMs), order: this.orders++, cancelled: false, run };
    this.heap.push(due);
    this.rise(this.heap.length - 1);
    return due;
  }

  /** When the next thing is due; undefined when nothing is. */
  peekMs(): number | undefined {
    while (this.heap[0]?.cancelled) this.pop();
    return this.heap[0]?.atMs;
  }

  /** Moves time on to what is due next. */
  next(): Due | undefined {
    if (this.peekMs() === undefined) return undefined;
    const due = this.pop();
    if (due) this.nowMs = due.atMs;
    return due;
  }

  private pop(): Due | undefined {
    const [first] = this.heap;
    const last = this.heap.pop();
    if (last !== undefined && this.heap.length > 0) {
      this.heap[0] = last;
      this.sink(0);
    }
    return first;
  }

  private before(a: number, b: number): boolean {
    const [one, other] = [this.heap[a], this.heap[b]];
    if (!one || !other) return false;
    return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
  }

  private swap(a: number, b: number): void {
    const [one, other] = [this.heap[a], this.heap[b]];
    if (!one || !other) return;
    this.heap[a] = other;
    this.heap[b] = one;
  }

  private rise(index: number): void {
    for (let at = index; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.before(at, parent)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private sink(index: number): void {
    for (let at = index; ; ) {
      const left = 2 * at + 1;
      const child = this.before(left + 1, left) ? left + 1 : left;
      if (!this.before(child, at)) return;
      this.swap(child, at);
      at = child;
    }
  }
}
