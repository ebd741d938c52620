import { condition, continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import type { PageRequest } from '../../domain/paging.ts';
import {
  pageRequestedSignal,
  pagesAcknowledgedSignal,
  pagesEscalatedSignal,
  pagesResolvedSignal,
  pagesUnacknowledgedSignal,
} from '../messages.ts';
import { PolicyRuns } from './policies.ts';
import { Sender } from './sender.ts';
import {
  type Escalation,
  emptyState,
  MAX_ESCALATIONS,
  type PagingInput,
  REMEMBERED_REQUESTS,
  titleAgain,
} from './state.ts';

/** A call to a pager that is under way is let end: one that is cut off may have been taken all the same. What waits for its next try gets no longer. */
const CALLS_END_WITHIN_MS = 2_000;

/**
 * Reaches people: sends each role's page until a channel accepts, escalates when nobody acknowledges, passes
 * acknowledgement and resolution on to the vendors. No trigger after resolve. An acknowledgement that lapses at the pager
 * arms what it had stopped.
 */
export async function paging(input: PagingInput): Promise<void> {
  const queue: PageRequest[] = [...input.requests];
  const state = { ...emptyState(), ...input.state };
  let resolved = false;
  let woken = false;
  const sender = new Sender(input, state);
  const policies = new PolicyRuns(state, sender);

  const sendFirst = async (request: PageRequest, role: string) => {
    const result = await sender.send(request, role, 0);
    if (result === 'withdrawn') state.withdrawn.push({ request, role });
  };

  const take = (request: PageRequest) => {
    if (state.seen.includes(request.id)) return;
    state.seen.push(request.id);
    if (state.seen.length > REMEMBERED_REQUESTS) state.seen.shift();
    // Asked again after an acknowledgement, somebody is needed anew: so each request escalates by itself.
    for (const role of request.roles) void sendFirst(request, role);
    if (request.policy !== undefined) policies.start(request, request.policy);
    if (request.escalate && request.escalate.to.length > 0) {
      state.escalations.push({ request, atMs: Date.now() + request.escalate.afterMs, times: 0 });
    }
  };

  const escalateDue = () => {
    const due = state.escalations.filter((entry) => entry.atMs <= Date.now());
    state.escalations = state.escalations.filter((entry) => entry.atMs > Date.now());
    for (const { request, times, escalated } of due) {
      // A key of its own each time: a vendor that dedupes would wake nobody again, nor would one that was acknowledged.
      const again = {
        ...request,
        title: titleAgain(request, escalated === true),
        dedupKey: times === 0 && !escalated ? request.dedupKey : `${request.dedupKey}-again-${times}`,
      };
      const more = escalated && { escalated };
      for (const role of request.escalate?.to ?? []) void sender.send(again, role, times + 1, more);
      if (times + 1 >= MAX_ESCALATIONS) continue;
      const afterMs = request.escalate?.afterMs ?? 0;
      state.escalations.push({ request, atMs: Date.now() + afterMs, times: times + 1, ...more });
    }
  };

  const takeAll = () => {
    for (const request of queue.splice(0)) take(request);
  };

  setHandler(pageRequestedSignal, (request) => void queue.push(request));
  setHandler(pagesAcknowledgedSignal, () => {
    // Nothing may trigger after a resolve, and whoever is told of that needs no other word.
    if (resolved) return;
    // Here and not in the loop: what is asked for after this goes out, and is acknowledged by nobody.
    takeAll();
    // What has waited for an acknowledgement stops, and waits for its end.
    const stopped = state.escalations.splice(0).map(({ escalated: _escalated, ...entry }) => entry);
    state.stopped.push(...stopped);
    policies.disarm();
    sender.acknowledge();
  });
  setHandler(pagesUnacknowledgedSignal, () => {
    if (resolved) return;
    for (const { request, times } of state.stopped.splice(0)) {
      state.escalations.push({ request, times, atMs: Date.now() + (request.escalate?.afterMs ?? 0) });
    }
    for (const { request, role } of state.withdrawn.splice(0)) void sendFirst(request, role);
    policies.rearm(Date.now());
    woken = true;
  });
  setHandler(pagesEscalatedSignal, () => {
    if (resolved) return;
    takeAll();
    const waiting: Escalation[] = [...state.escalations.splice(0), ...state.stopped.splice(0)];
    for (const { request, times } of waiting) {
      state.escalations.push({ request, times, atMs: Date.now(), escalated: true });
    }
    policies.hurry(Date.now());
    woken = true;
  });
  setHandler(pagesResolvedSignal, () => {
    resolved = true;
  });

  while (!resolved) {
    woken = false;
    takeAll();
    escalateDue();
    if (workflowInfo().continueAsNewSuggested && sender.busy === 0 && queue.length === 0) {
      await continueAsNew<typeof paging>({ ...input, requests: [], state });
    }
    const next = Math.min(...state.escalations.map((entry) => entry.atMs));
    const wake = () => queue.length > 0 || resolved || woken;
    if (Number.isFinite(next)) await condition(wake, Math.max(1, next - Date.now()));
    else await condition(wake);
  }

  // Nothing may trigger after a resolve, so attempts still under way end first.
  policies.stop();
  if (sender.busy > 0) await condition(() => sender.busy === 0, CALLS_END_WITHIN_MS);
  sender.attempts.cancel();
  await condition(() => sender.busy === 0);
  await sender.resolve();
}
