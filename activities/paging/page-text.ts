import { createHash } from 'node:crypto';
import { stripControl, truncate } from '../../domain/plain-text.ts';

/**
 * Text of pages, made plain and bounded: titles and values come from alerts. The limits together keep any page, at three
 * UTF-8 bytes a character, below the 512 KB of the strictest vendor (PagerDuty), so that no alert can make its own page
 * impossible to send.
 */
export const MAX_TITLE_CHARS = 1_024;
/** A page is read on a telephone; what is longer belongs in the incident. */
const MAX_DETAILS = 50;
const MAX_DETAIL_NAME_CHARS = 100;
const MAX_DETAIL_CHARS = 2_000;
const MAX_LINKS = 10;
const MAX_LINK_TEXT_CHARS = 200;
/** What browsers and vendors take without complaint. */
const MAX_HREF_CHARS = 2_000;
/** PagerDuty's limit of a dedup_key. */
const MAX_KEY_CHARS = 255;
/** Hex digits of a SHA-256 and the dash before them. */
const DIGEST_CHARS = 65;

export function plain(text: string, maxChars: number): string {
  return truncate(stripControl(text).trim(), maxChars);
}

/** The title, or the incident's id where nothing legible is left of it: a page without a title is refused by vendors. */
export function plainTitle(page: { title: string; incidentId: string }): string {
  return plain(page.title, MAX_TITLE_CHARS) || plain(`Incident ${page.incidentId}`, MAX_TITLE_CHARS);
}

/** The first one wins where two names become the same: a label's name cannot replace one of our facts. */
export function plainDetails(details: Record<string, string>): Record<string, string> {
  const kept = new Map<string, string>();
  for (const [name, value] of Object.entries(details)) {
    const plainName = plain(name, MAX_DETAIL_NAME_CHARS);
    if (plainName === '' || kept.has(plainName)) continue;
    kept.set(plainName, plain(value, MAX_DETAIL_CHARS));
    if (kept.size === MAX_DETAILS) break;
  }
  return Object.fromEntries(kept);
}

/** Only http and https: a page is opened by somebody in a hurry. */
export function plainLinks(links: { text: string; href: string }[]): { text: string; href: string }[] {
  return links
    .flatMap(({ text, href }) => {
      const url = URL.canParse(href) ? new URL(href) : undefined;
      if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return [];
      if (url.href.length > MAX_HREF_CHARS) return [];
      return [{ text: plain(text, MAX_LINK_TEXT_CHARS) || url.host, href: url.href }];
    })
    .slice(0, MAX_LINKS);
}

/**
 * The key as vendors take it. One that is too long or holds control characters gets a digest of the whole, as two keys
 * that differ must never become one: the second page would be taken for a duplicate.
 */
export function vendorKey(key: string): string {
  const legible = stripControl(key);
  if (legible === key && key.length > 0 && key.length <= MAX_KEY_CHARS) return key;
  const digest = createHash('sha256').update(key).digest('hex');
  return `${legible.slice(0, MAX_KEY_CHARS - DIGEST_CHARS).toWellFormed()}-${digest}`;
}
