import type { Random } from './random.ts';

/** A harmful output as a content store would keep it. The text is a placeholder: nothing harmful is in it. */
export interface HarmfulSample {
  id: string;
  /** RFC 3339. */
  at: string;
  requestId: string;
  categories: string[];
  text: string;
  /** Characters of `text`. */
  length: number;
  deployment: string;
  pod: string;
  revision: string;
}

export interface SampleQuery {
  deployment?: string;
  fromMs?: number;
  toMs?: number;
  limit: number;
}

/** About half a minute of the worst scenario (12% of 600 requests a second); what a review needs is 50. */
const MAX_SAMPLES = 2_000;
const CATEGORIES = ['self_harm', 'hate', 'pii', 'violence', 'medical_advice'] as const;
/** Part of the samples that the classifier gave a second category. */
const SECOND_CATEGORY_SHARE = 0.2;
const MAX_FILLER_WORDS = 40;

/** Keeps the newest harmful outputs. */
export class HarmfulSamples {
  readonly #canary: string;
  readonly #random: Random;
  /** Ids differ between two runs, as those of a content store do. */
  readonly #runId: string;
  readonly #kept: (HarmfulSample & { atMs: number })[] = [];
  #count = 0;

  constructor(canary: string, random: Random, runId: string) {
    this.#canary = canary;
    this.#random = random;
    this.#runId = runId;
  }

  add(from: Pick<HarmfulSample, 'deployment' | 'pod' | 'revision'>, atMs: number): void {
    this.#count += 1;
    const number = String(this.#count).padStart(7, '0');
    const categories = this.#drawCategories();
    const filler = 'placeholder '.repeat(1 + Math.floor(this.#random() * MAX_FILLER_WORDS));
    const text = `[synthetic ${categories.join(' and ')} output] ${this.#canary} ${filler.trimEnd()}`;
    const { length } = text;
    const ids = { id: `out-${this.#runId}-${number}`, requestId: `req-${this.#runId}-${number}` };
    this.#kept.push({ ...ids, at: new Date(atMs).toISOString(), atMs, categories, text, length, ...from });
    // In bulk, so that the copying is rare.
    if (this.#kept.length >= 2 * MAX_SAMPLES) this.#kept.splice(0, this.#kept.length - MAX_SAMPLES);
  }

  /** Newest first; `fromMs` and `toMs` are included. */
  find(query: SampleQuery): HarmfulSample[] {
    const found: HarmfulSample[] = [];
    for (const { atMs, ...sample } of this.#kept.slice(-MAX_SAMPLES).reverse()) {
      if (found.length >= query.limit) break;
      if (query.deployment !== undefined && sample.deployment !== query.deployment) continue;
      if (atMs < (query.fromMs ?? 0) || atMs > (query.toMs ?? Number.POSITIVE_INFINITY)) continue;
      found.push(sample);
    }
    return found;
  }

  #drawCategories(): string[] {
    const first = this.#drawCategory();
    if (this.#random() >= SECOND_CATEGORY_SHARE) return [first];
    const second = this.#drawCategory();
    return second === first ? [first] : [first, second];
  }

  #drawCategory(): string {
    return CATEGORIES[Math.floor(this.#random() * CATEGORIES.length)] ?? CATEGORIES[0];
  }
}
