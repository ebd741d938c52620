import type { Path, Problem } from '../problem.ts';
import type { StepView } from './view.ts';

/** A CEL text of the runbook. */
export interface ExpressionPlace {
  text: string;
  path: Path;
  /** Where in the text at `path` it starts; 0 where it is the whole. */
  offset?: number;
  wanted: 'bool' | 'string' | 'any';
  /** Absent: the severity. */
  step?: StepView;
}

export type CheckExpression = (place: ExpressionPlace) => Problem[];
