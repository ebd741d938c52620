import { createHmac, randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { SLACK } from './edge.ts';

export interface Sending {
  secret?: string;
  atMs?: number;
  signature?: string;
  tamper?: string;
  contentType?: string;
}

/** Requests as Slack sends them: forms, signed by HMAC over version, time and raw body. */
export function slackRequests(of: {
  app: () => FastifyInstance;
  nowMs: number;
  /** Where response_urls point to. */
  origin: () => string;
  trigger: () => string;
}) {
  function send(path: string, form: Record<string, string>, how: Sending = {}) {
    const body = new URLSearchParams(form).toString();
    const timestamp = String(Math.floor((how.atMs ?? of.nowMs) / 1_000));
    const hmac = createHmac('sha256', how.secret ?? SLACK.signingSecrets[0] ?? '');
    return of.app().inject({
      method: 'POST',
      url: `/webhooks/slack/${path}`,
      headers: {
        'content-type': how.contentType ?? 'application/x-www-form-urlencoded',
        'x-slack-request-timestamp': timestamp,
        'x-slack-signature': how.signature ?? `v0=${hmac.update(`v0:${timestamp}:${body}`).digest('hex')}`,
      },
      payload: body + (how.tamper ?? ''),
    });
  }
  // One for each request: it takes five messages.
  const responseUrl = () => `${of.origin()}/respond/${randomUUID()}`;
  const commandForm = (text: string, change: Record<string, string> = {}) => ({
    token: 'unused',
    team_id: SLACK.teamId,
    team_domain: 'example',
    channel_id: 'C0INC',
    channel_name: 'incidents',
    user_id: 'U0MARA',
    user_name: 'mara',
    command: '/firebreak',
    text,
    api_app_id: 'A0',
    is_enterprise_install: 'false',
    response_url: responseUrl(),
    trigger_id: of.trigger(),
    ...change,
  });
  const pressPayload = (actionId: string, value: unknown, change: Record<string, unknown> = {}) => ({
    type: 'block_actions',
    team: { id: SLACK.teamId, domain: 'example' },
    user: { id: 'U0MARA', username: 'mara', team_id: SLACK.teamId },
    api_app_id: 'A0',
    container: { type: 'message', message_ts: '1.1', channel_id: 'C0INC' },
    channel: { id: 'C0INC', name: 'incidents' },
    trigger_id: of.trigger(),
    response_url: responseUrl(),
    actions: [
      {
        type: 'button',
        action_id: actionId,
        block_id: 'b',
        text: { type: 'plain_text', text: 'Approve' },
        value: typeof value === 'string' ? value : JSON.stringify(value),
        action_ts: '1.1',
      },
    ],
    ...change,
  });
  /** A form that was sent. `view` is what views.open was given. */
  const submitPayload = (
    view: { callback_id: string; private_metadata: string },
    reason: string | null,
    change: Record<string, unknown> = {},
  ) => ({
    type: 'view_submission',
    team: { id: SLACK.teamId, domain: 'example' },
    user: { id: 'U0MARA', username: 'mara', team_id: SLACK.teamId },
    api_app_id: 'A0',
    trigger_id: of.trigger(),
    view: {
      id: 'V0FORM',
      team_id: SLACK.teamId,
      type: 'modal',
      ...view,
      state: { values: { reason: { text: { type: 'plain_text_input', value: reason } } } },
      hash: '1.abc',
    },
    response_urls: [],
    ...change,
  });
  const interact = (payload: object, how?: Sending) =>
    send('interactions', { payload: JSON.stringify(payload) }, how);
  return {
    send,
    commandForm,
    pressPayload,
    submitPayload,
    interact,
    command: (text: string, change?: Record<string, string>, how?: Sending) =>
      send('commands', commandForm(text, change), how),
    press: (actionId: string, value: unknown, change?: Record<string, unknown>, how?: Sending) =>
      interact(pressPayload(actionId, value, change), how),
    submit: (
      view: { callback_id: string; private_metadata: string },
      reason: string | null,
      change?: Record<string, unknown>,
    ) => interact(submitPayload(view, reason, change)),
  };
}
