import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  log,
} from '@temporalio/workflow';
import type { PageReport, PageRequest } from '../../domain/paging.ts';
import { pagers } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { pageReportedSignal } from '../messages.ts';
import type { PagingInput, PagingState } from './state.ts';

/** A page that no channel has taken by then is told as undeliverable, though it is tried on: people can look for others. */
const UNDELIVERED_AFTER_MS = 2 * 60_000;

/** `withdrawn`: somebody has acknowledged; `cancelled`: everything is over. */
export type SendResult = 'accepted' | 'refused' | 'withdrawn' | 'cancelled';

type AskedPage = PagingState['asked'][number];

interface Attempt {
  page: AskedPage;
  scope: CancellationScope;
  withdrawn: boolean;
}

/** Sends pages and tells the incident what became of them. */
export class Sender {
  /** Calls under way, of pages and of whatever leads to one: nothing may trigger after a resolve. */
  busy = 0;
  readonly attempts = new CancellationScope();
  private readonly input: PagingInput;
  private readonly state: PagingState;
  private readonly underWay = new Set<Attempt>();

  constructor(input: PagingInput, state: PagingState) {
    this.input = input;
    this.state = state;
  }

  get incidentId(): string {
    return this.input.incidentId;
  }

  /** Runs work that may lead to a page; it ends before the pages are resolved. */
  async guarded<T>(work: () => Promise<T>): Promise<T> {
    this.busy++;
    try {
      return await this.attempts.run(work);
    } finally {
      this.busy--;
    }
  }

  /** Resolves when a channel has accepted, all have refused for good, somebody has acknowledged, or everything is over. */
  async send(
    request: PageRequest,
    role: string,
    level: number,
    more: Pick<PageReport, 'fallOver' | 'escalated'> = {},
  ): Promise<SendResult> {
    const { incidentId } = this.input;
    const { dedupKey, title, severity, details, links } = request;
    const about = { requestId: request.id, role, level, ...more };
    const asked = { role, dedupKey };
    this.state.asked.push(asked);
    const scope = new CancellationScope({ cancellable: true, parent: this.attempts });
    const attempt: Attempt = { page: asked, scope, withdrawn: false };
    this.underWay.add(attempt);
    let settled = false;
    this.busy++;
    try {
      const page = { incidentId, role, dedupKey, title, severity, details, links };
      const sending = scope.run(() => pagers.sendPage(page));
      const telling = condition(() => settled, UNDELIVERED_AFTER_MS).then(async (inTime) => {
        if (inTime) return;
        const minutes = UNDELIVERED_AFTER_MS / 60_000;
        await this.report({
          ...about,
          retrying: true,
          problem: `no channel has taken it for ${minutes} minutes; it is tried on`,
        });
      });
      try {
        const { accepted } = await sending;
        settled = true;
        await telling;
        await this.report({ ...about, accepted });
        return 'accepted';
      } finally {
        settled = true;
        this.underWay.delete(attempt);
        await telling;
      }
    } catch (error) {
      if (this.attempts.consideredCancelled) return 'cancelled';
      if (attempt.withdrawn) {
        await this.report({ ...about, withdrawn: true });
        return 'withdrawn';
      }
      if (isCancellation(error)) return 'cancelled';
      await this.report({ ...about, problem: readFailure(error).message });
      return 'refused';
    } finally {
      // A vendor may have taken it all the same: while it was withdrawn, or earlier with its answer lost.
      if (attempt.withdrawn) await this.tellOfAcknowledgement([asked]);
      this.busy--;
    }
  }

  /**
   * Somebody has acknowledged: attempts under way end, and every pager is told of what it may have taken. What is asked for
   * later goes out as ever.
   */
  acknowledge(): void {
    const underWay = [...this.underWay];
    for (const attempt of underWay) {
      attempt.withdrawn = true;
      attempt.scope.cancel();
    }
    // Those are told once they have ended, as an acknowledgement before its page is lost.
    const later = new Set(underWay.map(({ page }) => keyOf(page)));
    void this.tellOfAcknowledgement(this.state.asked.filter((page) => !later.has(keyOf(page))));
  }

  private async tellOfAcknowledgement(pages: readonly AskedPage[]): Promise<void> {
    await this.guarded(() => this.tell('acknowledge', pages));
  }

  /** Tells every channel of everyone who was asked for. */
  async resolve(): Promise<void> {
    await this.tell('resolve', this.state.asked);
  }

  async report(entry: PageReport): Promise<void> {
    try {
      await getExternalWorkflowHandle(this.input.replyTo).signal(pageReportedSignal, entry);
    } catch (error) {
      log.warn('the incident could not be told of a page', {
        role: entry.role,
        problem: readFailure(error).message,
      });
    }
  }

  /** One that does not take it is logged. */
  private async tell(action: 'acknowledge' | 'resolve', pages: readonly AskedPage[]): Promise<void> {
    const unique = new Map(pages.map((page) => [keyOf(page), page]));
    await Promise.all(
      [...unique.values()].map((page) =>
        pagers.updatePage({ incidentId: this.input.incidentId, ...page, action }).catch((error) => {
          if (isCancellation(error)) return;
          log.warn(`the ${action} of a page did not reach the pager`, {
            role: page.role,
            problem: readFailure(error).message,
          });
        }),
      ),
    );
  }
}

function keyOf({ role, dedupKey }: AskedPage): string {
  return `${role} ${dedupKey}`;
}
