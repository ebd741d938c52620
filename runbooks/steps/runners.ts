import type { StepType } from '../../domain/runbook.ts';
import { changes } from './changes/run.ts';
import type { StepRunner } from './context.ts';
import { divert } from './divert/run.ts';
import { page } from './page/run.ts';
import { postmortem } from './postmortem/run.ts';
import { restore } from './restore/run.ts';
import { rollback } from './rollback/run.ts';
import { sample } from './sample/run.ts';
import { snapshot } from './snapshot/run.ts';
import { ticket } from './ticket/run.ts';
import { verify } from './verify/run.ts';

/** The implementations of the step types: workflow code. Inputs are in `inputs.ts`, which workflow code never imports. */
export const STEP_RUNNERS: Record<StepType, StepRunner> = {
  changes,
  divert,
  page,
  postmortem,
  restore,
  rollback,
  sample,
  snapshot,
  ticket,
  verify,
};
