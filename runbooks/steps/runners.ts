// Generated from the folders beside it: node scripts/bootstrap.mjs scripts/steps.ts
import { run as approval } from './approval/run.ts';
import { run as changes } from './changes/run.ts';
import type { StepRunner } from './context.ts';
import { run as divert } from './divert/run.ts';
import { run as http } from './http/run.ts';
import { run as measure } from './measure/run.ts';
import { run as notify } from './notify/run.ts';
import { run as page } from './page/run.ts';
import { run as postmortem } from './postmortem/run.ts';
import { run as restore } from './restore/run.ts';
import { run as rollback } from './rollback/run.ts';
import { run as sample } from './sample/run.ts';
import { run as snapshot } from './snapshot/run.ts';
import { run as task } from './task/run.ts';
import { run as ticket } from './ticket/run.ts';
import { run as verify } from './verify/run.ts';
import { run as wait } from './wait/run.ts';

/** The implementations of the step types: workflow code. */
export const STEP_RUNNERS: Readonly<Record<string, StepRunner>> = {
  approval,
  changes,
  divert,
  http,
  measure,
  notify,
  page,
  postmortem,
  restore,
  rollback,
  sample,
  snapshot,
  task,
  ticket,
  verify,
  wait,
};
