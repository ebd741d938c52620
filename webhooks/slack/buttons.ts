import { z } from 'zod';
import { ACTION_IDS } from '../../activities/slack/blocks.ts';

export type ButtonName = keyof typeof ACTION_IDS;

const buttonValue = z.object({
  incidentId: z.string().min(1).max(64),
  step: z.string().max(64).optional(),
  planHash: z.string().max(64).optional(),
});
/** What a button is about: an incident and, where it decides, one step and one exact plan. */
export type ButtonValue = z.output<typeof buttonValue>;

/** Every button of ours. */
export const BUTTON_ID = new RegExp(`^(${Object.values(ACTION_IDS).join('|')})$`);

export function buttonNamed(actionId: string): ButtonName | undefined {
  return (Object.keys(ACTION_IDS) as ButtonName[]).find((name) => ACTION_IDS[name] === actionId);
}

/** Undefined for what no version of Firebreak wrote. */
export function readButton(text: string): ButtonValue | undefined {
  try {
    return buttonValue.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
