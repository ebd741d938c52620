import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadRunbooks } from '../../runbooks/load.ts';
import { FIRST_RUNBOOK, SECOND_RUNBOOK, secondTeamRules, secondTeamRunbook } from './second-team.ts';
import { demoRules, demoRunbook } from './timings.ts';
