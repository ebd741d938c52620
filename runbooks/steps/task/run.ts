import type { ActionItem } from '../../../domain/incident.ts';
import { isoDate } from '../../../domain/postmortem/tasks.ts';
import type { StepRunner } from '../context.ts';
import type { TaskInput } from './definition.ts';

/** What a template gives where its value is not known. */
const UNKNOWN = '(unknown)';

/** Makes an action item at once; the postmortem has it beside those that follow from the incident's facts. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as TaskInput;
    const { incidentId, round, step, runbook } = context;
    const nowMs = context.nowMs();
    const title = await context.fill(input.title);
    const owner = input.owner === undefined ? '' : (await context.fill(input.owner)).trim();
    const item: ActionItem = {
      id: `${incidentId}-${input.lane}-task-${step.id}${round === 1 ? '' : `-${round}`}`,
      lane: input.lane,
      title,
      owner: owner === '' || owner === UNKNOWN ? runbook.owner : owner,
      due: isoDate(nowMs + input.dueMs),
      rmfFunction: input.rmfFunction,
      step: step.id,
    };
    if (input.expiresMs !== undefined) item.expires = isoDate(nowMs + input.expiresMs);
    if (input.retiresMs !== undefined) item.retires = isoDate(nowMs + input.retiresMs);
    const others = context.view().actionItems.filter(({ id }) => id !== item.id);
    context.keep({ actionItems: [...others, item] });
    context.record('evidence', `Made a task (${item.lane}), due ${item.due}`, { ...item });
    return { id: item.id, due: item.due };
  },
};
