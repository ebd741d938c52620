/**
 * What somebody typed after a slash command, word by word. With `should_escape` Slack sends mentions, channels and links in
 * angle brackets, and the three control characters as entities
 * (https://docs.slack.dev/interactivity/implementing-slash-commands,
 * https://docs.slack.dev/messaging/formatting-message-text#escaping).
 */
const WORD = /(?:<[^<>]*>|\S)+/g;
const USER = /^<@([UW][A-Z0-9]{2,20})(?:\|[^<>]*)?>$/;
/** `<@U1|mara>`, `<#C1|incidents>`, `<!here>`, `<!subteam^S1|@oncall>`, `<https://example.com|example.com>`. */
const REFERENCE = /<([@#!])([^<>|]*)(?:\|([^<>]*))?>|<((?:https?|mailto|tel):[^<>|]*)(?:\|([^<>]*))?>/g;
const ENTITY = /&(amp|lt|gt);/g;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>' };

/** Words as Slack sent them; a reference in angle brackets is one word, spaces and all. */
export function wordsOf(text: string): string[] {
  return text.match(WORD) ?? [];
}

/** Words as they were typed, in one line. What was a mention is a name in a text by then, and calls nobody. */
export function plainWords(words: readonly string[]): string {
  return words
    .join(' ')
    .replace(
      REFERENCE,
      (_all, sign: string | undefined, id: string, name?: string, url = '', label?: string) => {
        if (sign === undefined) return label || url.replace(/^mailto:|^tel:/, '');
        const shown = (name || id).replace(/^[@#]/, '');
        return `${sign === '#' ? '#' : '@'}${shown}`;
      },
    )
    .replace(ENTITY, (_all, name: string) => ENTITIES[name] ?? '')
    .trim();
}

/** The id of the user that a word mentions; undefined for every other word. */
export function mentionedUser(word: string): string | undefined {
  return USER.exec(word)?.[1];
}
