import fc from 'fast-check';

/**
 * Rollout histories as teams make them, by a seed: what is shipped, annotated, scaled, paused, lost and adopted before
 * somebody undoes. The same history is played twice, and undone once by each tool.
 */

export type ParityKind = 'Deployment' | 'StatefulSet';

export type Step =
  /** With what a release writes beside the template. */
  | { do: 'image'; image: number; annotations: Record<string, string> }
  | { do: 'env'; name: string; value: string | undefined }
  | { do: 'args'; args: string[] }
  | { do: 'template-label'; value: string | undefined }
  | { do: 'template-annotation'; value: string | undefined }
  | { do: 'volume' }
  | { do: 'annotate'; key: string; value: string | undefined }
  | { do: 'label'; value: string }
  | { do: 'scale'; replicas: number }
  | { do: 'history-limit'; limit: number }
  | { do: 'strategy'; strategy: number }
  | { do: 'pause' }
  | { do: 'resume' }
  /** The nth of the revisions that are not running, by number. */
  | { do: 'delete-revision'; nth: number }
  | { do: 'delete-current-revision' }
  | { do: 'orphan'; image: number; revision: string | undefined; owner: 'nobody' | 'another' }
  | { do: 'undo' }
  | { do: 'barrier' };

export interface History {
  kind: ParityKind;
  replicas: number;
  limit: 0 | 1 | 10;
  strategy: number;
  /** That it is made with: most have some before anything happens. */
  annotations: Record<string, string>;
  steps: Step[];
  /** How it is undone: the previous revision, the nth of those that are there, or one that is not. */
  undo: { to: 'previous' } | { to: 'nth'; nth: number } | { to: 'missing' };
  /** Something that Firebreak looks at and kubectl does not. */
  special?: 'controlled' | 'from-git' | 'known-bad';
}

const LIMITS = [0, 1, 10] as const;
/** Of keys that kubectl carries over, leaves alone, and of those that Firebreak leaves alone besides. */
const ANNOTATIONS: readonly [key: string, values: readonly string[]][] = [
  ['kubernetes.io/change-cause', ['first', 'second', 'third']],
  ['team', ['a', 'b']],
  ['example.com/a.b_c', ['x', 'y']],
  ['kubectl.kubernetes.io/last-applied-configuration', ['{"a":1}', '{"a":2}']],
  ['deployment.kubernetes.io/max-replicas', ['7']],
  ['firebreak.dev/mode', ['approve', 'auto']],
  ['ai.rmf/owner', ['ada@example.com', 'bob@example.com']],
];

const image = fc.integer({ min: 1, max: 4 });
const annotations: fc.Arbitrary<Record<string, string>> = fc
  .record(
    Object.fromEntries(ANNOTATIONS.map(([key, values]) => [key, fc.constantFrom(...values)])),
    // Each is there or not.
    { requiredKeys: [] },
  )
  // None is there and undefined.
  .map((made) => ({ ...made }) as Record<string, string>);
const optional = (...values: string[]) => fc.constantFrom(undefined, ...values);

const shipping: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('image' as const),
      image,
      annotations,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('env' as const),
      name: fc.constantFrom('A', 'B'),
      value: optional('1', '2'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('args' as const),
      args: fc.subarray(['--max-model-len=4096', '--tensor-parallel-size=2', '']),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('template-label' as const), value: optional('x', 'y') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('template-annotation' as const), value: optional('x', 'y') }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'volume' }) },
);

const annotating: fc.Arbitrary<Step> = fc
  .constantFrom(...ANNOTATIONS)
  .chain(([key, values]) =>
    fc.record({ do: fc.constant('annotate' as const), key: fc.constant(key), value: optional(...values) }),
  );

const handling: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ do: fc.constant('history-limit' as const), limit: fc.constantFrom(...LIMITS) }),
  fc.record({ do: fc.constant('strategy' as const), strategy: fc.integer({ min: 0, max: 2 }) }),
  fc.record({ do: fc.constant('label' as const), value: fc.constantFrom('x', 'y') }),
  fc.constant<Step>({ do: 'undo' }),
);

const breaking: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('delete-revision' as const), nth: fc.integer({ min: 0, max: 3 }) }),
  fc.constant<Step>({ do: 'delete-current-revision' }),
  fc.record({
    do: fc.constant('orphan' as const),
    image,
    revision: fc.constantFrom(undefined, '1', '7', 'junk', '-3'),
    owner: fc.constantFrom('nobody' as const, 'nobody' as const, 'another' as const),
  }),
  fc.constant<Step>({ do: 'barrier' }),
);

const pausing: fc.Arbitrary<Step> = fc.constantFrom<Step>({ do: 'pause' }, { do: 'resume' });

function stepsOf(kind: ParityKind): fc.Arbitrary<Step[]> {
  const step = fc.oneof(
    { weight: 6, arbitrary: shipping },
    { weight: 3, arbitrary: annotating },
    { weight: 3, arbitrary: handling },
    { weight: 2, arbitrary: breaking },
    // A StatefulSet cannot be paused.
    ...(kind === 'Deployment' ? [{ weight: 1, arbitrary: pausing }] : []),
  );
  return fc.array(step, { minLength: 1, maxLength: 7, size: 'max' });
}

const history: fc.Arbitrary<History> = fc
  .oneof(
    { weight: 2, arbitrary: fc.constant<ParityKind>('Deployment') },
    { weight: 1, arbitrary: fc.constant<ParityKind>('StatefulSet') },
  )
  .chain((kind) =>
    fc.record({
      kind: fc.constant(kind),
      replicas: fc.integer({ min: 0, max: 2 }),
      limit: fc.constantFrom(0, 1, 10, 10, 10),
      strategy: fc.integer({ min: 0, max: 2 }),
      annotations,
      steps: stepsOf(kind),
      undo: fc.oneof(
        { weight: 8, arbitrary: fc.constant({ to: 'previous' as const }) },
        {
          weight: 4,
          arbitrary: fc.record({ to: fc.constant('nth' as const), nth: fc.integer({ min: 0, max: 4 }) }),
        },
        { weight: 1, arbitrary: fc.constant({ to: 'missing' as const }) },
      ),
      special: fc.oneof(
        { weight: 12, arbitrary: fc.constant(undefined) },
        { weight: 3, arbitrary: fc.constantFrom('controlled', 'from-git', 'known-bad') },
      ),
    }),
  ) as fc.Arbitrary<History>;

/** Of what a seed gives, the first are small; this one is not. */
const SAMPLES = 8;

export function historyOf(seed: number): History {
  const made = fc.sample(history, { seed, numRuns: SAMPLES }).at(-1);
  if (made === undefined) throw new Error('fast-check sampled nothing');
  return made;
}

/** What a history has in it, for the count of what was covered. */
export function featuresOf({ kind, limit, annotations, steps, undo, special }: History): string[] {
  const images = steps.flatMap((step) => (step.do === 'image' ? [step.image] : []));
  return [
    kind,
    `revisionHistoryLimit ${limit}`,
    ...new Set([...annotationsIn(annotations, steps).map(annotationFeature), ...steps.map(featureOf)]),
    ...(new Set(images).size < images.length ? ['a template that came back'] : []),
    undo.to === 'previous' ? 'undo to the previous revision' : `undo to a revision (${undo.to})`,
    ...(special === undefined ? [] : [`special: ${special}`]),
  ];
}

function annotationsIn(first: History['annotations'], steps: readonly Step[]): string[] {
  const shipped = steps.flatMap((step) => (step.do === 'image' ? Object.keys(step.annotations) : []));
  return [...Object.keys(first), ...shipped];
}

function featureOf(step: Step): string {
  if (step.do === 'annotate') return annotationFeature(step.key);
  if (step.do === 'orphan') return `orphan revision, owned by ${step.owner}`;
  return FEATURES[step.do];
}

function annotationFeature(key: string): string {
  return key === 'kubernetes.io/change-cause' ? 'change-cause' : `annotation ${key}`;
}

const FEATURES: Record<Exclude<Step['do'], 'annotate' | 'orphan'>, string> = {
  image: 'image',
  env: 'environment variable',
  args: 'arguments',
  'template-label': 'label of the template',
  'template-annotation': 'annotation of the template',
  volume: 'volume',
  label: 'label of the workload',
  scale: 'replicas changed by hand',
  'history-limit': 'revisionHistoryLimit changed',
  strategy: 'strategy changed',
  pause: 'paused',
  resume: 'resumed',
  'delete-revision': 'old revision deleted',
  'delete-current-revision': 'current revision deleted',
  undo: 'rolled back before',
  barrier: 'rollback barrier in a template',
};
