import type { z } from 'zod';
import { fail } from '../failure.ts';
import type { transitions } from './client.ts';

type Transition = z.output<typeof transitions>['transitions'][number];

/** Names of resolutions by what became of the incident; sites name them as they like, so any other will do. */
const DONE_RESOLUTIONS = ['done', 'fixed', 'resolved'];
const NOT_DONE_RESOLUTIONS = ["won't do", 'declined', 'cannot reproduce', "won't fix"];

export interface ChosenTransition {
  transition: { id: string };
  fields?: Record<string, unknown>;
}

/**
 * The way to a status of the category done (https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-issueidorkey-transitions-get):
 * by the configured name, else the first there is.
 * @param done false where the incident turned out to be none.
 * @throws Refused where there is none, or where it asks for what only people know.
 */
export function chooseTransition(
  available: readonly Transition[],
  { name, done, thing }: { name: string | undefined; done: boolean; thing: string },
): ChosenTransition {
  const ending = available.filter(({ to }) => to.statusCategory.key === 'done');
  const chosen = name === undefined ? ending[0] : available.find((one) => isNamed(one, name));
  if (chosen === undefined) {
    const wanted = name === undefined ? 'a status of the category Done' : `the transition "${name}"`;
    throw fail(
      'Refused',
      `${thing} was not closed: from its status there is no way by ${wanted}; change the workflow or tickets.jira.doneTransition`,
    );
  }
  const required = Object.entries(chosen.fields).filter(
    ([, field]) => field.required && !field.hasDefaultValue,
  );
  const fields: Record<string, unknown> = {};
  for (const [field, { allowedValues }] of required) {
    const resolution = field === 'resolution' ? chooseResolution(allowedValues ?? [], done) : undefined;
    if (resolution === undefined) {
      throw fail(
        'Refused',
        `${thing} was not closed: its transition asks for the field ${field.slice(0, 60)}, which people fill in`,
      );
    }
    fields[field] = resolution;
  }
  return { transition: { id: chosen.id }, ...(required.length === 0 ? {} : { fields }) };
}

function isNamed({ name, to }: Transition, wanted: string): boolean {
  return [name, to.name].some((text) => text.toLowerCase() === wanted.toLowerCase());
}

function chooseResolution(
  allowed: readonly { id?: string | undefined; name?: string | undefined }[],
  done: boolean,
): { id: string } | undefined {
  const names = done ? DONE_RESOLUTIONS : NOT_DONE_RESOLUTIONS;
  const fitting = names.flatMap((wanted) => allowed.filter(({ name }) => name?.toLowerCase() === wanted));
  const id = [...fitting, ...allowed].find((one) => one.id !== undefined)?.id;
  return id === undefined ? undefined : { id };
}
