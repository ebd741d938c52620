/** Text from alerts, models and people, made plain for where it is shown. Pure. */

/** Breaks what a renderer would otherwise recognise after its own unescaping; nobody sees it. */
const ZERO_WIDTH_SPACE = '\u200b';

/** Removes control, format and other invisible characters (\p{C}); line breaks of any kind become one space. */
export function stripControl(text: string): string {
  return text.replace(/[\r\n\t\v\f\u0085\u2028\u2029]+/g, ' ').replace(/\p{C}/gu, '');
}

/** Cuts to at most `length` UTF-16 units, marking the cut. Never leaves half a surrogate pair. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  return length <= 0 ? '' : `${text.slice(0, length - 1).toWellFormed()}…`;
}

/**
 * As GitHub-flavoured Markdown shows it literally: no headings, links, mentions, HTML, emphasis or tables. GitHub finds
 * mentions, issue references and emoji in the rendered text, where a backslash is gone already: those are broken by a
 * zero-width space, and so are addresses, which some viewers link after unescaping (https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls).
 */
export function escapeMarkdown(text: string): string {
  return stripControl(text)
    .replace(/#(?=\d)|\bgh-(?=\d)|:(?=[\w+-]+:)|:(?=\/\/)|www(?=\.)|@/gi, `$&${ZERO_WIDTH_SPACE}`)
    .replace(/[\\`*_{}[\]()#+\-.!|>~=:^$]/g, '\\$&')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;');
}

/**
 * The three characters that start links, mentions and entities in Slack's text
 * (https://docs.slack.dev/messaging/formatting-message-text#escaping). Formatting such as *bold* stays: show it where
 * markup is off (plain_text, rich_text).
 */
export function escapeSlack(text: string): string {
  return stripControl(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/**
 * Lines escaped for Slack, at most `length` UTF-16 units in all. A cut is marked and never falls into an entity or a
 * character.
 */
export function escapeSlackWithin(text: string, length: number): string {
  const whole = text.split('\n').map(escapeSlack).join('\n');
  if (whole.length <= length) return whole;
  let cut = '';
  for (const [piece] of whole.matchAll(/&(?:amp|lt|gt);|./gsu)) {
    if (cut.length + piece.length + 1 > length) break;
    cut += piece;
  }
  return length <= 0 ? '' : `${cut}…`;
}
