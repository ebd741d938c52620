import { z } from 'zod';

/** A rate or share: 0..1. */
const share = z.number().min(0).max(1);

const imageBehaviour = z.strictObject({
  /** Part of the classified outputs that is harmful. */
  harmRate: share,
  /** Part of the outputs that the classifier looks at. */
  classifierCoverage: share.optional(),
  /** Part of the requests that end in an error and have no output. */
  errorRate: share.optional(),
  /** Part of the harmless outputs that are refusals. */
  refusalRate: share.optional(),
});

/** More would be another product's load test; one process counts this easily. */
const requestsPerSecond = z.number().min(0).max(100_000);
const kubernetesName = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/);

export const trafficOptionsSchema = z.strictObject({
  kubeconfig: z.string().min(1),
  namespace: kubernetesName,
  /** Deployments that have users of their own; `rps` overrides the general one. */
  deployments: z.array(z.strictObject({ name: kubernetesName, rps: requestsPerSecond.optional() })).min(1),
  /** Requests per second to each Deployment that names none of its own. */
  rps: requestsPerSecond,
  /** What models do, by the text of the pod's image; other images do no harm. */
  images: z.record(z.string(), imageBehaviour),
  /** Deployment whose metrics are there before traffic is first diverted to it; null: none. */
  fallback: kubernetesName.nullable(),
  /** Text that every sampled output contains, so that a test can look for it where it must not be. */
  canary: z.string().min(8).max(200),
  /** Port on loopback; 0: a free one. */
  port: z.int().min(0).max(65_535).default(0),
  /** Same seed, same pods, same ticks: same counts. */
  seed: z.int().default(1),
  classifierVersion: z.string().default('harm-classifier-1.4.0'),
  classifying: z.boolean().default(true),
  /** False: no traffic comes to a target while its breaker is half-open. */
  halfOpenTraffic: z.boolean().default(true),
});

/** A change while traffic runs; what is absent stays. Of an image, too, only the rates that are named change. */
export const trafficChangeSchema = z.strictObject({
  rps: requestsPerSecond.optional(),
  images: z.record(z.string(), imageBehaviour.partial()).optional(),
  classifying: z.boolean().optional(),
  halfOpenTraffic: z.boolean().optional(),
  classifierVersion: z.string().min(1).optional(),
});

export type TrafficOptions = z.input<typeof trafficOptionsSchema>;
export type TrafficSettings = z.output<typeof trafficOptionsSchema>;
export type TrafficChange = z.infer<typeof trafficChangeSchema>;
export type ImageBehaviour = z.infer<typeof imageBehaviour>;

/** What a healthy model server shows beside harm: below the guards of the shipped runbook (2% errors, 5% refusals). */
const USUAL: Required<ImageBehaviour> = {
  harmRate: 0,
  classifierCoverage: 1,
  errorRate: 0.001,
  refusalRate: 0.01,
};

/**
 * Settings with the change made; those given are not touched.
 * @throws ZodError when the change is not one.
 */
export function applyChange(settings: TrafficSettings, change: TrafficChange): TrafficSettings {
  const { images = {}, ...rest } = trafficChangeSchema.parse(change);
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const merged = { ...settings.images };
  for (const [image, behaviour] of Object.entries(images)) {
    merged[image] = { ...USUAL, ...merged[image], ...behaviour };
  }
  return { ...settings, ...given, images: merged };
}

/** All rates of an image. */
export function behaviourOf(settings: TrafficSettings, image: string): Required<ImageBehaviour> {
  const own = Object.hasOwn(settings.images, image) ? settings.images[image] : undefined;
  return { ...USUAL, ...own };
}
