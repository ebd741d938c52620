/** What the Temporal server and the simulation have to answer alike: each probe tells what it saw. */
import {
  ActivityCancellationType,
  ActivityFailure,
  type ActivityOptions,
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  patched,
  proxyActivities,
  setHandler,
  sleep,
  startChild,
  TimeoutFailure,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';

/** What an attempt does, by its number; the last one is for all that follow. */
export interface Attempt {
  tookMs?: number;
  result?: string;
  fails?: { message: string; type?: string; final?: boolean; again?: number };
}

interface Activities {
  work(attempts: Attempt[]): Promise<string | undefined>;
}

export const pokeSignal = defineSignal<[string]>('poke');
export const seenQuery = defineQuery<string[]>('seen');
export const addUpdate = defineUpdate<string, [string]>('add');

/** Something that is waited for takes this long, in real time too; what is not waited for is over well before. */
const LONG_MS = 6_000;
const SOON_MS = 5_000;
const SHORT_RETRY = { initialInterval: 50, backoffCoefficient: 2, maximumInterval: 100 };

function activity(options: ActivityOptions): Activities['work'] {
  return proxyActivities<Activities>({ startToCloseTimeout: '20s', retry: SHORT_RETRY, ...options }).work;
}

/** An error with everything that workflow code can decide by. */
export function tell(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = [error.name];
  if (error instanceof ApplicationFailure)
    parts.push(`${error.type}`, `final=${error.nonRetryable}`, error.message);
  if (error instanceof TimeoutFailure) parts.push(`${error.timeoutType}`);
  if (error instanceof ActivityFailure) parts.push(`${error.activityType} ${error.retryState}`);
  if (error instanceof ChildWorkflowFailure)
    parts.push(`${error.workflowType} ${error.execution.workflowId}`);
  if (isCancellation(error)) parts.push('cancellation');
  const cause = error.cause === undefined ? '' : ` < ${tell(error.cause)}`;
  return parts.join(' ') + cause;
}

async function outcome(work: Promise<unknown>): Promise<string> {
  return work.then(
    (result) => `answered ${JSON.stringify(result)}`,
    (error: unknown) => tell(error),
  );
}

type Probe = (log: string[]) => Promise<void>;

const fails = (message: string, more: object = {}): Attempt => ({ fails: { message, ...more } });

const ACTIVITIES: Record<string, Probe> = {
  async retried(log) {
    log.push(await outcome(activity({})([fails('one'), fails('two'), { result: 'three' }])));
  },
  async final(log) {
    log.push(await outcome(activity({})([fails('no', { type: 'Refused', final: true })])));
  },
  async finalByPolicy(log) {
    const retry = { ...SHORT_RETRY, nonRetryableErrorTypes: ['Refused'] };
    log.push(await outcome(activity({ retry })([fails('no', { type: 'Refused' })])));
  },
  async attemptsUsedUp(log) {
    log.push(await outcome(activity({ retry: { ...SHORT_RETRY, maximumAttempts: 3 } })([fails('no')])));
  },
  async timesOut(log) {
    const work = activity({ startToCloseTimeout: 200, retry: { ...SHORT_RETRY, maximumAttempts: 2 } });
    log.push(await outcome(work([{ tookMs: 1_500 }])));
  },
  async secondAttemptInTime(log) {
    log.push(
      await outcome(activity({ startToCloseTimeout: 300 })([{ tookMs: 2_000 }, { result: 'in time' }])),
    );
  },
  async expires(log) {
    const startMs = Date.now();
    const work = activity({
      scheduleToCloseTimeout: '7s',
      retry: { initialInterval: '4s', backoffCoefficient: 1 },
    });
    log.push(await outcome(work([fails('away')])));
    log.push(Date.now() - startMs < 6_500 ? 'as soon as it was clear' : 'at its limit');
  },
  async expiresUnderWay(log) {
    log.push(await outcome(activity({ scheduleToCloseTimeout: 300 })([{ tookMs: 1_500 }])));
  },
  async ownDelay(log) {
    const startMs = Date.now();
    log.push(await outcome(activity({})([fails('later', { again: 1_200 }), { result: 'later' }])));
    log.push(Date.now() - startMs >= 1_200 ? 'waited' : 'did not wait');
  },
  async noResult(log) {
    log.push(await outcome(activity({})([{}])));
  },
};

for (const [name, cancellationType] of Object.entries(ActivityCancellationType)) {
  const cancelled = async (log: string[], options: ActivityOptions, attempts: Attempt[], afterMs: number) => {
    const startMs = Date.now();
    const scope = new CancellationScope();
    const working = scope.run(() => outcome(activity({ cancellationType, ...options })(attempts)));
    if (afterMs > 0) await sleep(afterMs);
    scope.cancel();
    log.push(await working, Date.now() - startMs < SOON_MS ? 'soon' : 'late');
  };
  ACTIVITIES[`cancelled ${name}`] = (log) => cancelled(log, {}, [{ tookMs: LONG_MS, result: 'done' }], 200);
  ACTIVITIES[`cancelled at once ${name}`] = (log) =>
    cancelled(log, {}, [{ tookMs: LONG_MS, result: 'done' }], 0);
  ACTIVITIES[`cancelled between attempts ${name}`] = (log) =>
    cancelled(log, { retry: { initialInterval: LONG_MS } }, [fails('away'), { result: 'done' }], 500);
  ACTIVITIES[`cancelled and failing ${name}`] = (log) =>
    cancelled(log, {}, [{ tookMs: LONG_MS, ...fails('away') }, { result: 'again' }], 200);
  ACTIVITIES[`cancelled while it heartbeats ${name}`] = (log) =>
    cancelled(log, { heartbeatTimeout: 500 }, [{ tookMs: LONG_MS, result: 'done' }], 200);
}

let children = 0;
const childId = () => `${workflowInfo().workflowId}-child-${++children}`;

const CHILDREN: Record<string, Probe> = {
  async answers(log) {
    log.push(await outcome(executeChild(child, { workflowId: childId(), args: ['answers'] })));
  },
  async fails(log) {
    log.push(await outcome(executeChild(child, { workflowId: 'failing', args: ['fails'] })));
  },
  async failsByActivity(log) {
    log.push(await outcome(executeChild(child, { workflowId: 'failing-activity', args: ['activity'] })));
  },
  async goesOn(log) {
    log.push(await outcome(executeChild(child, { workflowId: childId(), args: ['goes on'] })));
  },
  async twice(log) {
    const workflowId = childId();
    const running = await startChild(child, { workflowId, args: ['sleeps'] });
    log.push(await outcome(startChild(child, { workflowId, args: ['answers'] })));
    await getExternalWorkflowHandle(workflowId).cancel();
    log.push((await outcome(running.result())).replaceAll(workflowId, 'id'));
    log.push(await outcome(executeChild(child, { workflowId, args: ['answers'] })));
    log.push(
      await outcome(
        executeChild(child, { workflowId, args: ['answers'], workflowIdReusePolicy: 'REJECT_DUPLICATE' }),
      ),
      await outcome(
        executeChild(child, {
          workflowId,
          args: ['answers'],
          workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
        }),
      ),
    );
  },
  async signalled(log) {
    const handle = await startChild(child, { workflowId: childId(), args: ['waits'] });
    await handle.signal(pokeSignal, 'a');
    await handle.signal(pokeSignal, 'b');
    log.push(await outcome(handle.result()));
    log.push((await outcome(handle.signal(pokeSignal, 'late'))).replaceAll(handle.workflowId, 'id'));
  },
};

for (const [name, cancellationType] of Object.entries(ChildWorkflowCancellationType)) {
  const cancelled = async (log: string[], afterMs: number) => {
    const startMs = Date.now();
    const workflowId = childId();
    const scope = new CancellationScope();
    const options = { workflowId, cancellationType, parentClosePolicy: ParentClosePolicy.ABANDON };
    const ended = scope.run(() => outcome(executeChild(child, { ...options, args: ['tidies'] })));
    if (afterMs > 0) await sleep(afterMs);
    scope.cancel();
    log.push((await ended).replaceAll(workflowId, 'id'), Date.now() - startMs < SOON_MS ? 'soon' : 'late');
  };
  CHILDREN[`cancelled ${name}`] = (log) => cancelled(log, 300);
  CHILDREN[`cancelled at once ${name}`] = (log) => cancelled(log, 0);
}

const PROBES: Record<string, Probe> = {
  ...prefixed('activity', ACTIVITIES),
  ...prefixed('child', CHILDREN),
  async 'external nobody'(log) {
    log.push(await outcome(getExternalWorkflowHandle('nobody').signal(pokeSignal, 'a')));
    log.push(await outcome(getExternalWorkflowHandle('nobody').cancel()));
  },
  async patches(log) {
    log.push(`${patched('a')} ${patched('a')}`);
  },
  async races(log) {
    log.push(`${await condition(() => false, 100)}`);
    const scope = new CancellationScope();
    const long = outcome(scope.run(() => sleep('1h')));
    scope.cancel();
    log.push(await long);
    log.push(
      await outcome(
        CancellationScope.withTimeout(200, () => activity({})([{ tookMs: 1_500, result: 'done' }])),
      ),
    );
  },
};

function prefixed(prefix: string, probes: Record<string, Probe>): Record<string, Probe> {
  return Object.fromEntries(Object.entries(probes).map(([name, probe]) => [`${prefix}: ${name}`, probe]));
}

/** Names of what can be asked. */
export const PROBE_NAMES: readonly string[] = Object.keys(PROBES);

export async function probe(name: string): Promise<string[]> {
  const log: string[] = [];
  setHandler(seenQuery, () => log);
  await PROBES[name]?.(log);
  return log;
}

export async function child(how: string, runs = 0): Promise<string> {
  const poked: string[] = [];
  setHandler(pokeSignal, (text) => void poked.push(text));
  switch (how) {
    case 'fails':
      throw ApplicationFailure.nonRetryable('the child fails', 'Refused');
    case 'activity':
      await activity({})([fails('no', { type: 'Refused', final: true })]);
      break;
    case 'goes on':
      if (runs < 2) return continueAsNew<typeof child>(how, runs + 1);
      break;
    case 'sleeps':
      await sleep('20s');
      break;
    case 'waits':
      await condition(() => poked.length === 2);
      break;
    case 'tidies':
      try {
        await sleep('20s');
      } catch (error) {
        await CancellationScope.nonCancellable(() => sleep(LONG_MS));
        throw error;
      }
  }
  return `${how} ${runs} ${poked.join()}`;
}

export const CLOSE_POLICIES = ['TERMINATE', 'ABANDON', 'REQUEST_CANCEL'] as const;

/** Starts one child for each policy, then ends or goes on, by `how`. */
export async function leaving(how: string): Promise<string> {
  if (how === 'went on') {
    await condition(() => false, 500);
    return how;
  }
  for (const parentClosePolicy of CLOSE_POLICIES) {
    const workflowId = `${workflowInfo().workflowId}-${parentClosePolicy}`;
    await startChild(child, { workflowId, parentClosePolicy, args: ['tidies'] });
  }
  if (how === 'goes on') return continueAsNew<typeof leaving>('went on');
  if (how === 'fails') throw ApplicationFailure.nonRetryable('over', 'Refused');
  return how;
}

/** Takes messages of every kind. */
export async function talking(log: string[] = []): Promise<string[]> {
  setHandler(seenQuery, () => log);
  setHandler(pokeSignal, (text) => void log.push(`poked ${text}`));
  setHandler(
    addUpdate,
    async (text) => {
      await sleep(200);
      if (text === 'unlucky') throw ApplicationFailure.nonRetryable(text, 'Refused');
      log.push(`added ${text}`);
      return `sum ${log.length}`;
    },
    {
      validator: (text) => {
        if (text === 'bad') throw ApplicationFailure.nonRetryable('not that', 'Refused');
        if (text === 'wrong') throw new RangeError('wrong');
      },
    },
  );
  upsertSearchAttributes({ CustomKeywordField: ['x'] });
  log.push('began');
  await condition(() => log.includes('poked go on') || log.includes('poked end'));
  if (log.includes('poked go on'))
    return continueAsNew<typeof talking>(log.filter((entry) => entry !== 'poked go on'));
  return log;
}

/** What a simulation must not hang on, or hide. */
export async function odd(how: string): Promise<number> {
  const { work } = proxyActivities<Activities>({ startToCloseTimeout: '20s', retry: SHORT_RETRY });
  log.warn('about to be odd', { how });
  for (let looks = 0; ; looks++) {
    const answered = await work([]);
    if (how === 'random') return Math.random();
    if (how === 'fails') throw ApplicationFailure.nonRetryable('odd', 'Refused');
    if (answered !== undefined) return looks;
  }
}
