import type { ModalView } from '@slack/web-api';
import { z } from 'zod';
import { escapeSlackWithin } from '../../domain/plain-text.ts';
import { SHORTEST_PLAN_HASH } from '../incidents/decide.ts';
import type { ButtonValue } from './buttons.ts';

/** Limits of views and inputs: https://docs.slack.dev/reference/views/modal-views, .../block-elements/plain-text-input-element */
const MAX_METADATA = 3_000;
const MAX_TEXT = 3_000;
/** A reason is read in a timeline: Slack would take 3,000 characters. */
const MAX_REASON = 2_000;

const REASON_BLOCK = 'reason';
const REASON_INPUT = 'text';
const CALLBACK_PREFIX = 'firebreak_form_';

/** Buttons that ask for a reason in a form before anything is done. */
const FORMS = {
  reject: {
    title: 'Reject the plan',
    submit: 'Reject',
    label: 'Why not?',
    says: 'The step ends without doing anything. What contains the harm now stays as it is.',
    optional: false,
  },
  escalate: {
    title: 'Escalate',
    submit: 'Page the next level',
    label: 'Why?',
    says: 'The next level is paged now, whether or not somebody has acknowledged.',
    optional: true,
  },
  'false-positive': {
    title: 'False positive',
    submit: 'It was no harm',
    label: 'How do you know?',
    says: 'Nothing is rolled back any more, and traffic that was diverted for it goes back where that is safe.',
    optional: false,
  },
  stop: {
    title: 'Stop the incident',
    submit: 'Stop',
    label: 'Why?',
    says: 'No further step is started. What contains the harm now stays as it is, until people change it.',
    optional: false,
  },
} as const;

export type FormName = keyof typeof FORMS;

const metadata = z.object({
  form: z.enum(Object.keys(FORMS) as [FormName, ...FormName[]]),
  incidentId: z.string().min(1).max(64),
  step: z.string().max(64).optional(),
  planHash: z.string().max(64).optional(),
  /** Where the outcome is told: the button's, good for 30 minutes and five messages. */
  responseUrl: z.string().max(1_000).optional(),
  channel: z.string().max(32).optional(),
});
export type FormMetadata = z.output<typeof metadata>;

export const FORM_ID = new RegExp(`^${CALLBACK_PREFIX}(${Object.keys(FORMS).join('|')})$`);

export function isForm(name: string): name is FormName {
  return Object.hasOwn(FORMS, name);
}

/** The form of a button, about exactly what the button is about. Undefined where that would not fit: nothing is cut. */
export function formView(
  form: FormName,
  about: ButtonValue,
  answer: { responseUrl?: string | undefined; channel?: string | undefined },
): ModalView | undefined {
  const { title, submit, label, says, optional } = FORMS[form];
  const privateMetadata = JSON.stringify({ form, ...about, ...answer } satisfies FormMetadata);
  if (privateMetadata.length > MAX_METADATA) return undefined;
  const plan =
    about.planHash === undefined
      ? []
      : [`Step ${about.step ?? '-'}, plan ${about.planHash.slice(0, SHORTEST_PLAN_HASH)}`];
  return {
    type: 'modal',
    callback_id: `${CALLBACK_PREFIX}${form}`,
    private_metadata: privateMetadata,
    title: plain(title),
    submit: plain(submit),
    close: plain('Go back'),
    blocks: [
      { type: 'section', text: plain([about.incidentId, ...plan, says].join('\n')) },
      {
        type: 'input',
        block_id: REASON_BLOCK,
        optional,
        label: plain(label),
        element: {
          type: 'plain_text_input',
          action_id: REASON_INPUT,
          multiline: true,
          max_length: MAX_REASON,
        },
      },
    ],
  };
}

/** What was sent with a form; `errors` go back into it. Undefined for what no version of Firebreak made. */
export function readForm(view: {
  private_metadata: string;
  state: { values: Record<string, Record<string, { value?: string | null }>> };
}): { about: FormMetadata; reason: string } | { errors: Record<string, string> } | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(view.private_metadata);
  } catch {
    return undefined;
  }
  const about = metadata.safeParse(parsed).data;
  if (about === undefined) return undefined;
  const reason = (view.state.values[REASON_BLOCK]?.[REASON_INPUT]?.value ?? '').trim();
  if (reason === '' && !FORMS[about.form].optional) return { errors: { [REASON_BLOCK]: 'Give a reason.' } };
  return { about, reason };
}

function plain(text: string): { type: 'plain_text'; text: string; emoji: false } {
  return { type: 'plain_text', text: escapeSlackWithin(text, MAX_TEXT), emoji: false };
}
