import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PLAN_HASH } from '../test-support/incident.ts';
import { parseCommand, type SlackCommand } from './commands.ts';

const id = 'inc-3f9a1c2b7d01-0a1b2c3d';
const act = (action: string, body: object, withId = true) => ({
  kind: 'act',
  action,
  ...(withId ? { id } : {}),
  body,
});

describe('parseCommand', () => {
  it.each<[string, object]>([
    ['', { kind: 'help' }],
    ['HELP', { kind: 'help' }],
    ['list', { kind: 'list' }],
    ['status', { kind: 'status' }],
    ['status 3f9a', { kind: 'status', id: '3f9a' }],
    [`timeline ${id}`, { kind: 'timeline', id }],
    ['postmortem', { kind: 'postmortem' }],
    ['ack', act('acknowledge', {}, false)],
    [`acknowledge ${id}`, act('acknowledge', {})],
    [`approve ${id}`, { kind: 'approve', id }],
    ['approve', { kind: 'approve' }],
    ['approve rollback', { kind: 'approve', step: 'rollback' }],
    [`approve ${id} rollback ${PLAN_HASH}`, { kind: 'approve', id, step: 'rollback', planHash: PLAN_HASH }],
    [`approve ${PLAN_HASH}`, { kind: 'approve', planHash: PLAN_HASH }],
    ['reject wrong revision', { kind: 'reject', reason: 'wrong revision' }],
    [`reject ${id} wrong revision`, { kind: 'reject', id, reason: 'wrong revision' }],
    [`escalate ${id}`, act('escalate', {})],
    ['escalate nobody answers', act('escalate', { reason: 'nobody answers' }, false)],
    [`severity ${id} sev1 users harmed`, act('severity', { severity: 'SEV1', reason: 'users harmed' })],
    [`mark ${id} s-1a2b3c4d5e Benign`, act('review-sample', { sampleId: 's-1a2b3c4d5e', verdict: 'benign' })],
    [
      'mark s-1a2b3c4d5e harmful',
      act('review-sample', { sampleId: 's-1a2b3c4d5e', verdict: 'harmful' }, false),
    ],
    [`note ${id} &lt;b&gt; &amp; c`, act('note', { text: '<b> & c' })],
    ['note added 3 graphs', act('note', { text: 'added 3 graphs' }, false)],
    [
      `update ${id} We are rolling back in 30m`,
      act('update', { text: 'We are rolling back', remindAfterMs: 1_800_000 }),
    ],
    ['update all is in order', act('update', { text: 'all is in order' }, false)],
    [`resolve ${id} it is over`, act('resolve', { reason: 'it is over' })],
    [`false-positive ${id} a test`, act('false-positive', { reason: 'a test' })],
    [`stop ${id} wrong runbook`, act('abort', { reason: 'wrong runbook' })],
    [`commander ${id} <@U0BEN|ben van der Berg>`, { kind: 'commander', id, who: { slackUser: 'U0BEN' } }],
    ['commander <@U0BEN>', { kind: 'commander', who: { slackUser: 'U0BEN' } }],
    ['commander @Ben', { kind: 'commander', who: { person: 'ben' } }],
    ['commander me', { kind: 'commander', who: 'me' }],
    [`take ${id}`, { kind: 'commander', id, who: 'me' }],
    [
      'declare models/deploy/llm-api answers are harmful',
      {
        kind: 'declare',
        target: { namespace: 'models', kind: 'Deployment', name: 'llm-api' },
        reason: 'answers are harmful',
      },
    ],
    [
      'declare eu/models/sts/llm why',
      {
        kind: 'declare',
        target: { cluster: 'eu', namespace: 'models', kind: 'StatefulSet', name: 'llm' },
        reason: 'why',
      },
    ],
  ])('reads %j', (text, expected) => {
    expect(parseCommand(text)).toEqual(expected);
  });

  it.each([
    ['dance', 'no such command'],
    ['constructor', 'no such command'],
    ['note', 'note needs a text'],
    [`reject ${id}`, 'reject needs a reason'],
    ['severity SEV5 why', 'SEV1'],
    ['severity SEV1', 'a reason'],
    [`commander ${id}`, '@user'],
    ['commander one two three', '@user'],
    ['declare llm-api why', 'a workload'],
    ['declare models/pod/llm-api why', 'a workload'],
    ['declare models/deployment/llm-api', 'a reason'],
  ])('gives help for %j', (text, problem) => {
    const command = parseCommand(text) as Extract<SlackCommand, { kind: 'help' }>;
    expect(command.kind).toBe('help');
    expect(command.problem).toContain(problem);
  });

  it('takes mentions, channels and links out of texts: none of them is one any more', () => {
    const text =
      'note <@U1|mara> saw <#C1|ops>, <!here> <!subteam^S1|@oncall> <https://evil.example|ok> <https://a.example>';
    expect(parseCommand(text)).toEqual(
      act('note', { text: '@mara saw #ops, @here @oncall ok https://a.example' }, false),
    );
  });

  it('reads whatever is typed, and never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(parseCommand(text)).toHaveProperty('kind');
        expect(parseCommand(`note ${text}`)).toHaveProperty('kind');
      }),
    );
  });
});
