import {
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { PageReport, PageRequest } from '../../domain/paging.ts';
import { pagers } from '../activities.ts';
import { readFailure } from '../failure.ts';
import {
  pageReportedSignal,
  pageRequestedSignal,
  pagesAcknowledgedSignal,
  pagesResolvedSignal,
} from '../messages.ts';

export interface PagingInput {
  incidentId: string;
  /** Workflow id of the incident. */
  replyTo: string;
  requests: PageRequest[];
  /** Carried over continue-as-new. */
  state?: PagingState;
}

interface PagingState {
  /** Request ids seen: the same request pages once. */
  seen: string[];
  /** Everyone who was asked for. A vendor may have taken a page whose answer was lost, so all are told of the end. */
  asked: { role: string; dedupKey: string }[];
  /** Levels that follow when nobody acknowledges; the last one is called again and again. */
  escalations: { request: PageRequest; atMs: number; times: number }[];
}

/** Requests remembered for deduplication; an incident sends a handful. */
const REMEMBERED_REQUESTS = 500;
/** Somebody who does not answer this many calls will not answer the next: at 5 minutes each, 5 hours. */
const MAX_ESCALATIONS = 60;

/**
 * Reaches people: sends each role's page until a channel accepts, escalates when nobody acknowledges, passes
 * acknowledgement and resolution on to the vendors. No trigger after resolve.
 */
export async function paging(input: PagingInput): Promise<void> {
  const queue: PageRequest[] = [...input.requests];
  const state: PagingState = input.state ?? { seen: [], asked: [], escalations: [] };
  let acknowledged = false;
  let acknowledgePending = false;
  let resolved = false;
  let sending = 0;

  setHandler(pageRequestedSignal, (request) => void queue.push(request));
  setHandler(pagesAcknowledgedSignal, () => {
    acknowledged = true;
    acknowledgePending = true;
  });
  setHandler(pagesResolvedSignal, () => {
    resolved = true;
  });

  const report = async (entry: PageReport) => {
    try {
      await getExternalWorkflowHandle(input.replyTo).signal(pageReportedSignal, entry);
    } catch (error) {
      log.warn('the incident could not be told of a page', {
        role: entry.role,
        problem: readFailure(error).message,
      });
    }
  };

  const attempts = new CancellationScope();
  const sendRole = async (request: PageRequest, role: string, level: number) => {
    sending++;
    state.asked.push({ role, dedupKey: request.dedupKey });
    try {
      const { accepted } = await attempts.run(() =>
        pagers.sendPage({
          incidentId: input.incidentId,
          role,
          dedupKey: request.dedupKey,
          title: request.title,
          severity: request.severity,
          details: request.details,
          links: request.links,
        }),
      );
      await report({ requestId: request.id, role, level, accepted });
    } catch (error) {
      if (isCancellation(error)) return;
      await report({ requestId: request.id, role, level, problem: readFailure(error).message });
    } finally {
      sending--;
    }
  };

  const take = (request: PageRequest) => {
    if (state.seen.includes(request.id)) return;
    state.seen.push(request.id);
    if (state.seen.length > REMEMBERED_REQUESTS) state.seen.shift();
    // Asked again after an acknowledgement: somebody is needed anew, so it escalates anew.
    acknowledged = false;
    for (const role of request.roles) void sendRole(request, role, 0);
    if (request.escalate && request.escalate.to.length > 0) {
      state.escalations.push({ request, atMs: Date.now() + request.escalate.afterMs, times: 0 });
    }
  };

  while (!resolved) {
    while (queue.length > 0) {
      const request = queue.shift();
      if (request) take(request);
    }
    if (acknowledgePending) {
      acknowledgePending = false;
      state.escalations = [];
      for (const page of [...state.asked]) {
        void pagers
          .updatePage({ incidentId: input.incidentId, ...page, action: 'acknowledge' })
          .catch((error) => {
            log.warn('an acknowledgement did not reach the pager', {
              role: page.role,
              problem: readFailure(error).message,
            });
          });
      }
    }
    const due = state.escalations.filter((entry) => entry.atMs <= Date.now());
    state.escalations = state.escalations.filter((entry) => entry.atMs > Date.now());
    if (!acknowledged) {
      for (const { request, times } of due) {
        // A key of its own each time: a vendor that dedupes would wake nobody again.
        const again = {
          ...request,
          title: `Not acknowledged: ${request.title}`,
          dedupKey: times === 0 ? request.dedupKey : `${request.dedupKey}-again-${times}`,
        };
        for (const role of request.escalate?.to ?? []) void sendRole(again, role, times + 1);
        if (times + 1 < MAX_ESCALATIONS) {
          const afterMs = request.escalate?.afterMs ?? 0;
          state.escalations.push({ request, atMs: Date.now() + afterMs, times: times + 1 });
        }
      }
    }
    if (workflowInfo().continueAsNewSuggested && sending === 0 && queue.length === 0) {
      await continueAsNew<typeof paging>({ ...input, requests: [], state });
    }
    const next = Math.min(...state.escalations.map((entry) => entry.atMs));
    const wake = () => queue.length > 0 || acknowledgePending || resolved;
    if (Number.isFinite(next)) await condition(wake, Math.max(1, next - Date.now()));
    else await condition(wake);
  }

  // Nothing may trigger after a resolve, so attempts still under way end first.
  attempts.cancel();
  await condition(() => sending === 0);
  const unique = new Map(state.asked.map((page) => [`${page.role} ${page.dedupKey}`, page]));
  await Promise.all(
    [...unique.values()].map((page) =>
      pagers.updatePage({ incidentId: input.incidentId, ...page, action: 'resolve' }).catch((error) => {
        log.warn('a resolution did not reach the pager', {
          role: page.role,
          problem: readFailure(error).message,
        });
      }),
    ),
  );
}
