import {
  ActivityFailure,
  ApplicationFailure,
  arrayFromPayloads,
  CancelledFailure,
  ChildWorkflowFailure,
  defaultPayloadConverter,
  type Payload,
  type RetryState,
  toPayloads,
} from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time.js';
import type { google, temporal } from '@temporalio/proto';
import { failureConverter } from '../../worker/codec/failure-converter.ts';

export type Failure = temporal.api.failure.v1.IFailure;
type WirePayload = temporal.api.common.v1.IPayload;
type WireDuration = google.protobuf.IDuration;

/** An event's own fields beside its payloads, roughly: only decides when the server suggests to continue as new. */
const EVENT_OVERHEAD_BYTES = 150;

export function encode(values: readonly unknown[]): Payload[] {
  return toPayloads(defaultPayloadConverter, ...values) ?? [];
}

export function encodeOne(value: unknown): Payload {
  return defaultPayloadConverter.toPayload(value);
}

export function decode(payloads: readonly WirePayload[] | null | undefined): unknown[] {
  return arrayFromPayloads(defaultPayloadConverter, payloads ? [...payloads] : []);
}

export function decodeOne(payload: WirePayload | null | undefined): unknown {
  return payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
}

export function toFailure(error: unknown): Failure {
  return failureConverter.errorToFailure(error, defaultPayloadConverter);
}

export function toError(failure: Failure): Error {
  return failureConverter.failureToError(failure, defaultPayloadConverter);
}

/** Bytes that an event with these payloads adds to a history, about. */
export function eventBytes(payloads: readonly WirePayload[] | null | undefined): number {
  return (payloads ?? []).reduce((sum, { data }) => sum + (data?.length ?? 0), EVENT_OVERHEAD_BYTES);
}

/** @returns undefined where no time is given: the protocol leaves out what is not set, and 0 means the same. */
export function durationMs(duration: WireDuration | null | undefined): number | undefined {
  return duration ? tsToMs(duration) || undefined : undefined;
}

/** As the server tells a workflow of an activity that has failed for good, with its text. */
export function activityFailure(
  activity: { type: string; activityId: string },
  retryState: RetryState,
  cause: Error,
): Failure {
  const message = cause instanceof CancelledFailure ? 'Activity cancelled' : 'Activity task failed';
  return toFailure(
    new ActivityFailure(message, activity.type, activity.activityId, retryState, undefined, cause),
  );
}

/** As the server tells a parent how a child ended. */
export function childFailure(
  child: { workflowId: string; runId: string; workflowType: string },
  cause: Failure,
): Failure {
  const execution = { workflowId: child.workflowId, runId: child.runId };
  const wrapper = new ChildWorkflowFailure(undefined, execution, child.workflowType, 'RETRY_POLICY_NOT_SET');
  return { ...toFailure(wrapper), cause };
}

/** What the SDK's core tells a workflow that wanted something of one that does not run. */
export function externalNotFound(message: string): Failure {
  return toFailure(ApplicationFailure.retryable(message, 'ExternalWorkflowExecutionNotFound'));
}
