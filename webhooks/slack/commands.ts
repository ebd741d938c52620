import { parseDurationMs } from '../../domain/duration.ts';
import { SAMPLE_VERDICTS } from '../../domain/samples/precision.ts';
import { SEVERITIES } from '../../domain/severity.ts';
import type { Target } from '../../domain/target.ts';
import { isNamespaceName, parseTargetReference } from '../../domain/target-reference.ts';
import type { ActionName } from '../incidents/actions.ts';
import { SHORTEST_PLAN_HASH } from '../incidents/decide.ts';
import { mentionedUser, plainWords, wordsOf } from './command-text.ts';

/** Whom a command names: a Slack user by a mention, a person of the access file by their id, or whoever types. */
export type Named = { slackUser: string } | { person: string } | 'me';
type NamedWorkload = Pick<Target, 'namespace' | 'kind' | 'name'> & { cluster?: string };

/** What somebody typed after `/firebreak`. Without `id`: the incident of the channel, or the only open one. */
export type SlackCommand =
  | { kind: 'help'; problem?: string }
  | { kind: 'list' }
  | { kind: 'status' | 'timeline' | 'postmortem'; id?: string }
  | { kind: 'declare'; target: NamedWorkload; reason: string }
  | { kind: 'approve'; id?: string; step?: string; planHash?: string }
  | { kind: 'reject'; id?: string; reason: string }
  | { kind: 'commander'; id?: string; who: Named }
  | { kind: 'act'; action: ActionName; id?: string; body: Record<string, unknown> };

const PLAN_HASH = new RegExp(`^[0-9a-f]{${SHORTEST_PLAN_HASH},64}$`);
/**
 * Where an id may be left out and a text follows, these words are ids and no others: with `inc-`, or at least four hex digits,
 * one of them a number. "added" and "dead" are words.
 */
const ID_IN_TEXT = /^(inc-.*|(?=[0-9a-f-]*\d)[0-9a-f]{4,12}(-[0-9a-f]{0,8})?)$/i;
const PERSON = /^@?([a-z0-9][a-z0-9._-]{0,63})$/i;

export const HELP = [
  '/firebreak list',
  '/firebreak status [ID], timeline [ID], postmortem [ID]',
  '/firebreak declare [CLUSTER/]NAMESPACE/KIND/NAME REASON  - a rollback that nobody was alerted to; people are asked to approve',
  '/firebreak ack [ID]',
  '/firebreak approve [ID] [STEP] [PLAN]  - without PLAN (the start of its hash) it shows the plan with buttons',
  '/firebreak reject [ID] REASON',
  '/firebreak escalate [ID] [REASON]  - pages the next level now',
  '/firebreak commander [ID] @user  - hands over; me takes command',
  '/firebreak severity [ID] SEV1..SEV4 REASON',
  '/firebreak note [ID] TEXT',
  '/firebreak mark [ID] SAMPLE harmful|benign|unsure  - what a sampled output is; your last word counts',
  '/firebreak update [ID] TEXT [in 30m]  - tells stakeholders, and reminds you when the next is due',
  '/firebreak resolve [ID] REASON, false-positive [ID] REASON, stop [ID] REASON  - commanders',
  'ID may be the start of an incident id, as long as it is the only one. It may be left out in the channel of an incident, and where exactly one is open.',
].join('\n');

type Reader = (words: string[]) => SlackCommand | { needs: string };

const VERBS: Readonly<Record<string, Reader>> = {
  help: () => ({ kind: 'help' }),
  list: () => ({ kind: 'list' }),
  status: (words) => ({ kind: 'status', ...idOnly(words) }),
  timeline: (words) => ({ kind: 'timeline', ...idOnly(words) }),
  postmortem: (words) => ({ kind: 'postmortem', ...idOnly(words) }),
  ack: (words) => ({ kind: 'act', action: 'acknowledge', ...idOnly(words), body: {} }),
  declare,
  approve,
  reject: withText('a reason', (id, reason) => ({ kind: 'reject', ...id, reason })),
  note: acting('note', 'a text', (text) => ({ text })),
  resolve: acting('resolve', 'a reason', (reason) => ({ reason })),
  'false-positive': acting('false-positive', 'a reason', (reason) => ({ reason })),
  stop: acting('abort', 'a reason', (reason) => ({ reason })),
  update: acting('update', 'a text', updateBody),
  escalate: (words) => {
    const { id, rest } = idBefore(words);
    const reason = plainWords(rest);
    return { kind: 'act', action: 'escalate', ...id, body: reason === '' ? {} : { reason } };
  },
  severity,
  commander,
  mark,
};
/** What people type instead. */
const ALIASES: Readonly<Record<string, string>> = {
  acknowledge: 'ack',
  abort: 'stop',
  falsepositive: 'false-positive',
  fp: 'false-positive',
  take: 'commander',
};

/** Reads the text of a slash command; what cannot be read becomes help with the problem said. */
export function parseCommand(text: string): SlackCommand {
  const [first = 'help', ...words] = wordsOf(text);
  const typed = first.toLowerCase();
  const verb = Object.hasOwn(ALIASES, typed) ? (ALIASES[typed] ?? typed) : typed;
  const read = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (read === undefined) return { kind: 'help', problem: 'There is no such command.' };
  const found = read(typed === 'take' ? [...words, 'me'] : words);
  return 'needs' in found ? { kind: 'help', problem: `${verb} needs ${found.needs}.` } : found;
}

function idOnly([id]: string[]): { id?: string } {
  return id === undefined ? {} : { id };
}

function idBefore(words: string[]): { id: { id?: string }; rest: string[] } {
  const [first, ...rest] = words;
  return first !== undefined && ID_IN_TEXT.test(first)
    ? { id: { id: first }, rest }
    : { id: {}, rest: words };
}

function withText(what: string, make: (id: { id?: string }, text: string) => SlackCommand): Reader {
  return (words) => {
    const { id, rest } = idBefore(words);
    const text = plainWords(rest);
    return text === '' ? { needs: what } : make(id, text);
  };
}

function acting(action: ActionName, what: string, body: (text: string) => Record<string, unknown>): Reader {
  return withText(what, (id, text) => ({ kind: 'act', action, ...id, body: body(text) }));
}

/** `... in 30m` at the end is when the next update is due. */
function updateBody(text: string): Record<string, unknown> {
  const found = /^(.+)\s+in\s+(\S+)$/is.exec(text);
  const remindAfterMs = found?.[2] === undefined ? undefined : parseDurationMs(found[2].toLowerCase());
  return remindAfterMs === undefined ? { text } : { text: found?.[1] ?? text, remindAfterMs };
}

function approve(words: string[]): SlackCommand {
  const { id, rest } = idBefore(words);
  const hash = rest.find((word) => PLAN_HASH.test(word));
  const [step] = rest.filter((word) => word !== hash);
  return {
    kind: 'approve',
    ...id,
    ...(step === undefined ? {} : { step }),
    ...(hash === undefined ? {} : { planHash: hash }),
  };
}

function severity(words: string[]): ReturnType<Reader> {
  const { id, rest } = idBefore(words);
  const [wanted = '', ...why] = rest;
  const found = SEVERITIES.find((one) => one === wanted.toUpperCase());
  const reason = plainWords(why);
  if (found === undefined || reason === '') return { needs: `one of ${SEVERITIES.join(', ')} and a reason` };
  return { kind: 'act', action: 'severity', ...id, body: { severity: found, reason } };
}

/** With one word before the verdict it is the sample: ids of samples may look like those of incidents. */
function mark(words: string[]): ReturnType<Reader> {
  const verdict = SAMPLE_VERDICTS.find((one) => one === words.at(-1)?.toLowerCase());
  const [sampleId, id] = words.slice(0, -1).toReversed();
  if (verdict === undefined || sampleId === undefined || words.length > 3)
    return { needs: `a sample (s-...) and one of ${SAMPLE_VERDICTS.join(', ')}` };
  return {
    kind: 'act',
    action: 'review-sample',
    ...(id === undefined ? {} : { id }),
    body: { sampleId, verdict },
  };
}

function commander(words: string[]): ReturnType<Reader> {
  const who = named(words.at(-1));
  const [id] = words.slice(0, -1);
  if (who === undefined || words.length > 2) return { needs: '@user, the id of a person, or me' };
  return { kind: 'commander', ...(id === undefined ? {} : { id }), who };
}

function named(word: string | undefined): Named | undefined {
  if (word === undefined || (ID_IN_TEXT.test(word) && !word.startsWith('@'))) return undefined;
  const slackUser = mentionedUser(word);
  if (slackUser !== undefined) return { slackUser };
  if (word.toLowerCase() === 'me') return 'me';
  const person = PERSON.exec(word)?.[1];
  return person === undefined ? undefined : { person: person.toLowerCase() };
}

function declare([where = '', ...why]: string[]): ReturnType<Reader> {
  const parts = where.split('/');
  const [namespace = '', kind = '', name = ''] = parts.slice(-3);
  const workload = parseTargetReference(`${kind}/${name}`);
  const cluster = parts.length === 4 ? parts[0] : undefined;
  const reason = plainWords(why);
  if (parts.length < 3 || parts.length > 4 || workload === undefined || !isNamespaceName(namespace)) {
    return { needs: 'a workload, such as models/deployment/llm-api, and a reason' };
  }
  if (reason === '') return { needs: 'a reason after the workload' };
  const target = { ...(cluster === undefined ? {} : { cluster }), namespace, ...workload };
  return { kind: 'declare', target, reason };
}
