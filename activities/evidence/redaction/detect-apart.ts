import { Worker } from 'node:worker_threads';
import type { Detector } from './redact.ts';
import type { Span } from './spans.ts';

export interface DetectRequest {
  id: number;
  text: string;
}
/** Without spans: a detector failed. */
export interface DetectReply {
  id: number;
  spans?: Span[];
}

/** A text takes up to a second; one that takes this long was made to. */
const TEXT_TIMEOUT_MS = 30_000;
/** Samples come in bursts; the thread holds some 100 MB of words and rules. */
const IDLE_MS = 60_000;

interface Thread {
  worker: Worker;
  waiting: Map<
    number,
    { resolve: (spans: Span[]) => void; reject: (error: Error) => void; timer: NodeJS.Timeout }
  >;
  idle?: NodeJS.Timeout | undefined;
}

/**
 * The detectors of this process as one, in a thread of its own: they compute for up to a second a text, and heartbeats and the
 * diversion of an incident must not wait for that. It starts with the first text and ends when there was none for a minute. A
 * text that takes too long ends the thread and fails, so no text can hold up those of other incidents.
 * @param file of the thread; another one in tests.
 */
export function detectApart(
  options: { file?: URL; textTimeoutMs?: number; idleMs?: number } = {},
): Detector & { close(): Promise<void> } {
  const { textTimeoutMs = TEXT_TIMEOUT_MS, idleMs = IDLE_MS } = options;
  // Built files end in .js, sources run as they are: the thread's file ends as this one does.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const file = options.file ?? new URL(`./thread-worker${extension}`, import.meta.url);
  let current: Thread | undefined;
  let lastId = 0;

  function end(thread: Thread, reason: string): void {
    if (current === thread) current = undefined;
    clearTimeout(thread.idle);
    for (const { reject, timer } of thread.waiting.values()) {
      clearTimeout(timer);
      reject(new Error(reason));
    }
    thread.waiting.clear();
    void thread.worker.terminate();
  }

  function start(): Thread {
    const worker = new Worker(file, { name: 'redaction' });
    const thread: Thread = { worker, waiting: new Map() };
    worker.on('message', ({ id, spans }: DetectReply) => {
      const request = thread.waiting.get(id);
      if (request === undefined) return;
      thread.waiting.delete(id);
      clearTimeout(request.timer);
      if (spans === undefined) request.reject(new Error('a detector failed'));
      else request.resolve(spans);
      if (thread.waiting.size > 0) return;
      // A process that ends does not wait for it.
      worker.unref();
      thread.idle = setTimeout(() => end(thread, 'idle'), idleMs).unref();
    });
    worker.on('error', () => end(thread, 'the thread of the detectors failed'));
    worker.on('exit', () => end(thread, 'the thread of the detectors ended'));
    return thread;
  }

  const detect = (text: string): Promise<Span[]> => {
    const thread = current ?? start();
    current = thread;
    clearTimeout(thread.idle);
    thread.worker.ref();
    const id = ++lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => end(thread, 'finding personal data took too long'), textTimeoutMs);
      thread.waiting.set(id, { resolve, reject, timer });
      thread.worker.postMessage({ id, text } satisfies DetectRequest);
    });
  };
  return Object.assign(detect, {
    close: async () => {
      const thread = current;
      if (thread === undefined) return;
      end(thread, 'closed');
      await thread.worker.terminate();
    },
  });
}
