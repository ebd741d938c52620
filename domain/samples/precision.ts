/** How far people agree with the classifier: what reviewers said of the sampled outputs. Pure. */
import type { SampleSummary } from '../incident.ts';

export const SAMPLE_VERDICTS = ['harmful', 'benign', 'unsure'] as const;
export type SampleVerdict = (typeof SAMPLE_VERDICTS)[number];

/** By sample (its reference, else its id), then by person: the last word of each. Plain JSON, kept in workflow state. */
export type SampleMarks = Record<string, Record<string, SampleVerdict>>;

/** 97.5% quantile of the normal distribution: a two-sided interval of 95%. */
const Z_95 = 1.959963984540054;

/**
 * Wilson's score interval of a share (95%, two-sided), which stays within 0..1 and is sound for few and for extreme
 * counts: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927);
 * recommended for small n by Brown, Cai and DasGupta, Statistical Science 16 (2001).
 * @returns the whole of 0..1 where nothing was counted.
 */
export function wilsonInterval(hits: number, total: number): [low: number, high: number] {
  if (total <= 0) return [0, 1];
  const share = hits / total;
  const z2 = Z_95 * Z_95;
  const centre = share + z2 / (2 * total);
  const spread = Z_95 * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total * total));
  const scale = 1 + z2 / total;
  // Exactly the end where nothing, or everything, was a hit: rounding would leave 1e-17 of it.
  return [
    hits === 0 ? 0 : Math.max(0, (centre - spread) / scale),
    hits === total ? 1 : Math.min(1, (centre + spread) / scale),
  ];
}

export interface SamplesReviewed {
  /** Everybody who marked it and was not unsure says so. */
  harmful: number;
  benign: number;
  /** Marked by somebody, and nobody was sure. */
  unsure: number;
  /** One says harmful, another benign: references, counted as neither. */
  disagreed: string[];
  /** harmful / (harmful + benign) with Wilson's interval (95%); absent until one of them was counted. */
  precision?: { value: number; low: number; high: number };
}

/** Counts marks sample by sample; undefined where there are none. */
export function countMarks(marks: SampleMarks | undefined): SamplesReviewed | undefined {
  const entries = Object.entries(marks ?? {});
  if (entries.length === 0) return undefined;
  const counted: SamplesReviewed = { harmful: 0, benign: 0, unsure: 0, disagreed: [] };
  for (const [id, byPerson] of entries) {
    const said = new Set(Object.values(byPerson));
    if (said.has('harmful') && said.has('benign')) counted.disagreed.push(id);
    else if (said.has('harmful')) counted.harmful++;
    else if (said.has('benign')) counted.benign++;
    else counted.unsure++;
  }
  const sure = counted.harmful + counted.benign;
  if (sure === 0) return counted;
  const [low, high] = wilsonInterval(counted.harmful, sure);
  return { ...counted, precision: { value: counted.harmful / sure, low, high } };
}

/** One line for people: `precision 83% (95% interval 55% to 95%) of 12 reviewed; 1 disputed`. */
export function describeReviews(reviewed: SamplesReviewed): string {
  const { harmful, benign, unsure, disagreed, precision } = reviewed;
  const parts =
    precision === undefined
      ? ['no sample was called harmful or benign yet']
      : [
          `precision ${percent(precision.value)} (95% interval ${percent(precision.low)} to ${percent(precision.high)}): ` +
            `${harmful} of ${harmful + benign} reviewed samples are harmful`,
        ];
  if (disagreed.length > 0) parts.push(`${disagreed.length} disputed`);
  if (unsure > 0) parts.push(`${unsure} unsure`);
  return parts.join('; ');
}

/** The sample that a person means: by its id, or by the short reference that lists show. */
export function findSample(
  samples: SampleSummary | undefined,
  named: string,
): SampleSummary['items'][number] | undefined {
  return samples?.items.find(({ id, ref }) => id === named || ref === named);
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
