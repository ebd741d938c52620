import { createHash } from 'node:crypto';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import type { PageInput } from '../contract.ts';

/** One way to reach whoever is behind a role. An adapter a vendor; it throws failures of activities/failure.ts only. */
export interface PagerChannel {
  /** Shown to people and in the timeline: unique within a role. */
  name: string;
  /** Resolves once the vendor has accepted the page. @returns the vendor's handle of it. */
  send(page: PageInput): Promise<{ reference: string }>;
  /** Idempotent, and harmless where the page never arrived. */
  update(page: PageUpdate, action: 'acknowledge' | 'resolve'): Promise<void>;
}

export interface PageUpdate {
  incidentId: string;
  role: string;
  dedupKey: string;
}

/**
 * How long one channel may take. People wait meanwhile and the next channel may be fine; vendors accept within a second.
 * The activity's own timeout leaves room for five of them.
 */
export const PAGER_TIMEOUT_MS = 10_000;
/** An acceptance is some hundred bytes; more than this is no pager's answer. */
export const MAX_PAGER_ANSWER_BYTES = 64 * 1024;

/** Facts beyond these sizes are not read on a phone, and vendors limit the whole. */
const MAX_DETAILS = 40;
const MAX_DETAIL_LENGTH = 2_000;
const MAX_DETAIL_NAME_LENGTH = 100;
const MAX_LINKS = 20;
const MAX_LINK_TEXT_LENGTH = 200;
const MAX_LINK_LENGTH = 2_000;

/** The page as it may leave: control characters gone, sizes bounded, links to web pages only. */
export function cleanPage(page: PageInput): PageInput {
  const details = Object.entries(page.details)
    .slice(0, MAX_DETAILS)
    .map(([name, value]) => [
      truncate(stripControl(name), MAX_DETAIL_NAME_LENGTH),
      truncate(stripControl(value), MAX_DETAIL_LENGTH),
    ]);
  const links = page.links
    .filter(
      (link) =>
        /^https?:\/\//.test(link.href) && link.href.length <= MAX_LINK_LENGTH && URL.canParse(link.href),
    )
    .slice(0, MAX_LINKS)
    .map((link) => ({
      href: new URL(link.href).href,
      text: truncate(stripControl(link.text), MAX_LINK_TEXT_LENGTH),
    }));
  return { ...page, title: stripControl(page.title), details: Object.fromEntries(details), links };
}

/** A key that fits: the text itself, or its SHA-256 (hex) where it is longer than the vendor allows. */
export function fittingKey(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : sha256(text);
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
