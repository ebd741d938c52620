// Generated from the folders beside it: node scripts/bootstrap.mjs scripts/steps.ts
import { definition as approval } from './approval/definition.ts';
import { definition as changes } from './changes/definition.ts';
import type { StepDefinition } from './define.ts';
import { definition as divert } from './divert/definition.ts';
import { definition as http } from './http/definition.ts';
import { definition as measure } from './measure/definition.ts';
import { definition as notify } from './notify/definition.ts';
import { definition as page } from './page/definition.ts';
import { definition as postmortem } from './postmortem/definition.ts';
import { definition as restore } from './restore/definition.ts';
import { definition as rollback } from './rollback/definition.ts';
import { definition as sample } from './sample/definition.ts';
import { definition as snapshot } from './snapshot/definition.ts';
import { definition as task } from './task/definition.ts';
import { definition as ticket } from './ticket/definition.ts';
import { definition as verify } from './verify/definition.ts';
import { definition as wait } from './wait/definition.ts';

/** What the compiler and the tools know of every step type. */
export const STEP_DEFINITIONS: Readonly<Record<string, StepDefinition>> = {
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
