import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { FAILURES, type FailureType } from '../domain/failure.ts';

/** The failure that a person should read: types and messages of our own table survive, wrappers are peeled off. */
export function readFailure(error: unknown): { type: FailureType; message: string } {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) {
    if (error.cause) return readFailure(error.cause);
  }
  if (error instanceof ApplicationFailure) {
    const type = error.type && error.type in FAILURES ? (error.type as FailureType) : 'Unavailable';
    return { type, message: error.message };
  }
  if (error instanceof TimeoutFailure) {
    return { type: 'Unavailable', message: 'no answer in time (is a worker of that queue running?)' };
  }
  return { type: 'Unavailable', message: error instanceof Error ? error.message : String(error) };
}
