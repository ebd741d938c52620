/** Text from alerts, models and people, made plain for where it is shown. Pure. */

/** Removes control, format and other invisible characters (\p{C}); line breaks become spaces. */
export function stripControl(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(/\p{C}/gu, '');
}

/** Cuts to at most `length` characters, marking the cut. */
export function truncate(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1)).toWellFormed()}…`;
}

/** As GitHub-flavoured Markdown shows it literally: no headings, links, mentions, HTML, emphasis or tables. */
export function escapeMarkdown(text: string): string {
  return stripControl(text)
    .replace(/[\\`*_{}[\]()#+\-.!|>~=:^$]/g, '\\$&')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/@/g, '@\u200b');
}

/** Slack mrkdwn: the three characters that start links, mentions and entities. */
export function escapeSlack(text: string): string {
  return stripControl(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
