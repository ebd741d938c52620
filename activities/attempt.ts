import { Context } from '@temporalio/activity';

/** Number of the activity's attempt, from 1; undefined outside of one. */
export function currentAttempt(): number | undefined {
  try {
    return Context.current().info.attempt;
  } catch {
    return undefined;
  }
}
