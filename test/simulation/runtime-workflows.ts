/** Small workflows that use what the simulation's own part has to get right. */
import {
  ActivityCancellationType,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setHandler,
  sleep,
  startChild,
} from '@temporalio/workflow';

interface Activities {
  work(input: string): Promise<string>;
}

export const poke = defineSignal<[string]>('poke');
export const seen = defineQuery<string[]>('seen');
export const add = defineUpdate<number, [number]>('add');

const patient = proxyActivities<Activities>({
  startToCloseTimeout: '10s',
  retry: {
    initialInterval: '1s',
    backoffCoefficient: 2,
    maximumInterval: '4s',
    nonRetryableErrorTypes: ['Never'],
  },
});

/** Tells how an activity ended, and when. */
export async function retrying(input: string): Promise<void> {
  const log: string[] = [];
  setHandler(seen, () => log);
  const startMs = Date.now();
  try {
    log.push(await patient.work(input));
  } catch (error) {
    log.push(`${(error as Error).name}: ${(error as Error & { cause?: Error }).cause?.message}`);
  }
  log.push(`${Date.now() - startMs}`);
}

export async function limited(): Promise<void> {
  const log: string[] = [];
  setHandler(seen, () => log);
  const { work } = proxyActivities<Activities>({ startToCloseTimeout: '10s', retry: { maximumAttempts: 2 } });
  await work('fails').catch((error: Error) => log.push(error.name));
}

/** Cancels an activity that is under way, one way or the other. */
export async function cancelling(type: 'try' | 'wait' | 'abandon'): Promise<void> {
  const log: string[] = [];
  setHandler(seen, () => log);
  const { work } = proxyActivities<Activities>({
    startToCloseTimeout: '1m',
    cancellationType: {
      try: ActivityCancellationType.TRY_CANCEL,
      wait: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      abandon: ActivityCancellationType.ABANDON,
    }[type],
  });
  const startMs = Date.now();
  const scope = new CancellationScope();
  const working = scope.run(() => work('slow'));
  working.catch(() => undefined);
  await sleep('5s');
  scope.cancel();
  try {
    log.push(await working);
  } catch (error) {
    log.push(isCancellation(error) ? 'cancelled' : 'failed');
  }
  log.push(`${Date.now() - startMs}`);
}

export async function timers(): Promise<void> {
  const log: string[] = [];
  setHandler(seen, () => log);
  const startMs = Date.now();
  const scope = new CancellationScope();
  const long = scope
    .run(() => sleep('30d'))
    .catch(() => log.push(`timer cancelled at ${Date.now() - startMs}`));
  await sleep('15d');
  log.push(`15 days at ${Date.now() - startMs}`);
  scope.cancel();
  await long;
}

export async function child(input: string): Promise<string> {
  if (input === 'fails') throw ApplicationFailure.nonRetryable('the child fails', 'Refused');
  try {
    await sleep('10s');
  } catch (error) {
    await CancellationScope.nonCancellable(() => sleep('1s'));
    throw error;
  }
  return `child ${input}`;
}

export async function parent(): Promise<void> {
  const log: string[] = [];
  setHandler(seen, () => log);
  log.push(await executeChild(child, { workflowId: 'child-1', args: ['a'] }));
  await executeChild(child, { workflowId: 'child-2', args: ['fails'] }).catch((error: Error) =>
    log.push(`${error.name}: ${(error.cause as Error).message}`),
  );
  const running = await startChild(child, { workflowId: 'child-3', args: ['b'] });
  await startChild(child, { workflowId: 'child-3', args: ['c'] }).catch((error: Error) =>
    log.push(error.name),
  );
  await getExternalWorkflowHandle('child-3').cancel();
  await running
    .result()
    .catch((error: Error) => log.push(isCancellation(error) ? 'child cancelled' : error.name));
  await startChild(child, {
    workflowId: 'abandoned',
    args: ['d'],
    parentClosePolicy: ParentClosePolicy.ABANDON,
  });
  await startChild(child, {
    workflowId: 'terminated',
    args: ['e'],
    parentClosePolicy: ParentClosePolicy.TERMINATE,
  });
}

/** Collects signals and goes on in a new run after every third. */
export async function collecting(before: string[] = []): Promise<void> {
  const log = [...before];
  setHandler(seen, () => log);
  setHandler(poke, (text) => void log.push(text));
  await condition(() => log.length >= before.length + 3 || log.at(-1) === 'stop');
  if (log.at(-1) !== 'stop') await continueAsNew<typeof collecting>(log);
}

export async function counting(): Promise<void> {
  let total = 0;
  setHandler(
    add,
    async (number) => {
      await sleep('1m');
      total += number;
      if (number === 13) throw ApplicationFailure.nonRetryable('unlucky', 'Refused');
      return total;
    },
    {
      validator: (number) => {
        if (number < 0) throw ApplicationFailure.nonRetryable('only more', 'Refused');
      },
    },
  );
  await condition(() => total >= 100);
}

export async function talking(): Promise<void> {
  const log: string[] = [];
  setHandler(seen, () => log);
  await getExternalWorkflowHandle('collector').signal(poke, 'hello');
  await getExternalWorkflowHandle('nobody')
    .signal(poke, 'hello')
    .catch((error: Error) => log.push(error.message));
}

export async function broken(): Promise<void> {
  await sleep('1s');
  throw new TypeError('a mistake in workflow code');
}

/** Looks every 15 seconds for a day. */
export async function polling(): Promise<void> {
  for (let looks = 0; looks < 5_760; looks++) {
    await patient.work('quick');
    await sleep('15s');
  }
}
