import { setTimeout as delay } from 'node:timers/promises';
import { type KubernetesListObject, type KubernetesObject, ListWatch, Watch } from '@kubernetes/client-node';
import { explain, type KubeClient } from './kube-client.ts';

/** Between two attempts to reach an API server that is away; a restart of it takes a few seconds. */
const RETRY_MS = 250;
/** One line for an API server that is away, not four a second. */
const TELL_EVERY_MS = 5_000;
/** The library waits up to 30 s between watches that close without an event: too long for a story told in seconds. */
const MAX_RECONNECT_DELAY_MS = 500;

export interface FollowedKind<T extends KubernetesObject> {
  /** Path of the collection: `/api/v1/namespaces/ai/pods`. */
  path: string;
  list: () => Promise<KubernetesListObject<T>>;
  fieldSelector?: string;
}

export interface FollowHandlers<T> {
  changed?: (object: T) => void;
  gone?: (object: T) => void;
  /** The connection was lost; it is made again until stop(). */
  trouble?: (error: Error) => void;
}

export interface Follower<T> {
  /** What the API holds, as far as it has been told. */
  items(): readonly T[];
  stop(): void;
}

/**
 * Lists a collection and watches it from there on, through closed watches, expired versions and restarts of the API
 * server. Objects that come from the watch have their times as text, those from the list as Date: as the library has it.
 * @returns once the first list is there. Throws where that cannot be had.
 */
export async function follow<T extends KubernetesObject>(
  kube: KubeClient,
  kind: FollowedKind<T>,
  handlers: FollowHandlers<T> = {},
): Promise<Follower<T>> {
  const watch = new StoppableWatch(kube.config);
  let listed = false;
  const list = async (): Promise<KubernetesListObject<T>> => {
    const answer = await kind.list();
    listed = true;
    return answer;
  };
  const informer = new ListWatch<T>(kind.path, watch, list, false, undefined, kind.fieldSelector, {
    delayFn: (ms) => delay(Math.min(ms, MAX_RECONNECT_DELAY_MS), undefined, { ref: false }),
  });
  let firstError: unknown;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  const changed = (object: T): void => {
    if (!watch.stopped) handlers.changed?.(object);
  };
  // Not `change`: that one is told of deletions too.
  informer.on('add', changed);
  informer.on('update', changed);
  informer.on('delete', (object) => {
    if (!watch.stopped) handlers.gone?.(object);
  });
  informer.on('error', (error: unknown) => {
    if (watch.stopped) return;
    if (!listed) {
      firstError = error;
      return;
    }
    if (performance.now() - toldAtMs >= TELL_EVERY_MS) {
      toldAtMs = performance.now();
      handlers.trouble?.(explain(error, `watching ${kind.path}`));
    }
    setTimeout(() => {
      // An expired version is the informer's own business; it starts again from where it was otherwise.
      if (!watch.stopped) void informer.start();
    }, RETRY_MS).unref();
  });
  await informer.start();
  if (!listed) {
    watch.stop();
    throw firstError;
  }
  return {
    items: () => informer.list(),
    stop: () => {
      watch.stop();
      void informer.stop();
    },
  };
}

/** Follows a collection until `look` gives something other than undefined for it, or until the deadline. */
export async function followUntil<T extends KubernetesObject, R>(
  kube: KubeClient,
  kind: FollowedKind<T>,
  timeoutMs: number,
  look: (items: readonly T[]) => R | undefined,
): Promise<R | undefined> {
  const seen = Promise.withResolvers<R | undefined>();
  const timer = setTimeout(() => seen.resolve(undefined), timeoutMs);
  let follower: Follower<T> | undefined;
  const again = (): void => {
    if (follower === undefined) return;
    const found = look(follower.items());
    if (found !== undefined) seen.resolve(found);
  };
  try {
    follower = await follow(kube, kind, { changed: again, gone: again });
    again();
    return await seen.promise;
  } finally {
    clearTimeout(timer);
    follower?.stop();
  }
}

/** The library's informer cannot stop a watch that is still connecting. This can, and it keeps no connection behind. */
class StoppableWatch extends Watch {
  stopped = false;
  #current: AbortController | undefined;

  override async watch(...args: Parameters<Watch['watch']>): Promise<AbortController> {
    const controller = await super.watch(...args);
    this.#current = controller;
    if (this.stopped) controller.abort();
    return controller;
  }

  stop(): void {
    this.stopped = true;
    this.#current?.abort();
  }
}
