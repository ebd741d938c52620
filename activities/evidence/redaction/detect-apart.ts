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

/**
 * A text takes up to a second, the first one some more while the thread starts; one that takes this long was made to. Twice
 * this fits into the time of an attempt.
 */
const TEXT_TIMEOUT_MS = 15_000;
/** Samples come in bursts; the thread holds some 100 MB of words and rules. */
const IDLE_MS = 60_000;

interface Request {
  text: string;
  resolve: (spans: Span[]) => void;
  reject: (error: Error) => void;
}

/** A thread has one text at a time: whatever it does to the thread, those that wait for their turn are not touched by it. */
interface Thread {
  worker: Worker;
  running?: (Request & { id: number; timer: NodeJS.Timeout }) | undefined;
  idle?: NodeJS.Timeout | undefined;
}

/**
 * The detectors of this process as one, in a thread of its own: they compute for up to a second a text, and heartbeats and the
 * diversion of an incident must not wait for that. It starts with the first text and ends when there was none for a minute. A
 * text that takes too long, or ends the thread, fails alone: those behind it go on in a new thread.
 * @param file of the thread; another one in tests.
 */
export function detectApart(
  options: { file?: URL; textTimeoutMs?: number; idleMs?: number } = {},
): Detector & { close(): Promise<void> } {
  const { textTimeoutMs = TEXT_TIMEOUT_MS, idleMs = IDLE_MS } = options;
  // Built files end in .js, sources run as they are: the thread's file ends as this one does.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const file = options.file ?? new URL(`./thread-worker${extension}`, import.meta.url);
  const waiting: Request[] = [];
  let current: Thread | undefined;
  let lastId = 0;

  function end(thread: Thread, reason: string): void {
    if (current === thread) current = undefined;
    clearTimeout(thread.idle);
    const { running } = thread;
    thread.running = undefined;
    void thread.worker.terminate();
    if (running === undefined) return;
    clearTimeout(running.timer);
    running.reject(new Error(reason));
    next();
  }

  function start(): Thread {
    const worker = new Worker(file, { name: 'redaction' });
    const thread: Thread = { worker };
    worker.on('message', ({ id, spans }: DetectReply) => {
      const { running } = thread;
      if (running?.id !== id) return;
      thread.running = undefined;
      clearTimeout(running.timer);
      if (spans === undefined) running.reject(new Error('a detector failed'));
      else running.resolve(spans);
      next();
      if (thread.running !== undefined) return;
      // A process that ends does not wait for it.
      worker.unref();
      thread.idle = setTimeout(() => end(thread, 'idle'), idleMs).unref();
    });
    worker.on('error', () => end(thread, 'the thread of the detectors failed'));
    worker.on('exit', () => end(thread, 'the thread of the detectors ended'));
    return thread;
  }

  /** Gives the thread the text whose turn it is. */
  function next(): void {
    if (current?.running !== undefined) return;
    const request = waiting.shift();
    if (request === undefined) return;
    const thread = current ?? start();
    current = thread;
    clearTimeout(thread.idle);
    thread.worker.ref();
    const id = ++lastId;
    const timer = setTimeout(() => end(thread, 'finding personal data took too long'), textTimeoutMs);
    thread.running = { ...request, id, timer };
    thread.worker.postMessage({ id, text: request.text } satisfies DetectRequest);
  }

  const detect = (text: string): Promise<Span[]> =>
    new Promise((resolve, reject) => {
      waiting.push({ text, resolve, reject });
      next();
    });
  return Object.assign(detect, {
    close: async () => {
      for (const { reject } of waiting.splice(0)) reject(new Error('closed'));
      const thread = current;
      if (thread === undefined) return;
      end(thread, 'closed');
      await thread.worker.terminate();
    },
  });
}
