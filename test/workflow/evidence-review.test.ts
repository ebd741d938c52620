/** Reviewers mark samples; the precision so far stands beside what people are asked to approve. */
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { SampleVerdict } from '../../domain/samples/precision.ts';
import * as messages from '../../workflows/messages.ts';
import { type IncidentDriver, withIncident } from './harness.ts';
import { World } from './world.ts';

const SAMPLES = {
  count: 3,
  from: 'outputs',
  byCategory: { hate: 3 },
  items: ['a', 'b', 'c'].map((id) => ({
    id: `out/${id}`,
    ref: `s-000000000${id}`,
    sha256: id.repeat(64),
    length: 10,
    categories: ['hate'],
    requestId: `req-${id}`,
  })),
};

function mark(incident: IncidentDriver, person: string, sampleId: string, verdict: SampleVerdict) {
  return incident.env.client.workflow
    .getHandle(incident.workflowId)
    .executeUpdate(messages.reviewSampleUpdate, {
      args: [{ actor: { person, via: 'cli' as const }, sampleId, verdict }],
    });
}

/** An incident in approve mode that has sampled. */
function withSamples(test: (incident: IncidentDriver, world: World) => Promise<void>): Promise<void> {
  const world = new World();
  world.facts = { ...world.facts, mode: 'approve' };
  world.samples = SAMPLES;
  return withIncident(world, async (incident) => {
    await incident.send(incident.alert());
    await incident.until('sampled', (view) => view.samples !== undefined);
    await test(incident, world);
  });
}

describe('reviewing samples', () => {
  it('counts the last word of each person, shows disagreement, and tells the approvers', async () => {
    await withSamples(async (incident) => {
      await incident.until(
        'sampled and waiting',
        (view) => view.samples !== undefined && view.pendingApprovals.length > 0,
      );
      const first = await mark(incident, 'mara', 's-000000000a', 'benign');
      expect(first.message).toContain('0 of 1 reviewed samples are harmful');
      await mark(incident, 'mara', 'out/a', 'harmful');
      await mark(incident, 'ben', 'out/b', 'harmful');
      await mark(incident, 'ben', 'out/c', 'harmful');
      await mark(incident, 'mara', 'out/c', 'benign');
      const view = await incident.view();
      expect(view.samples?.reviewed).toMatchObject({
        harmful: 2,
        benign: 0,
        unsure: 0,
        disagreed: ['s-000000000c'],
        precision: { value: 1, high: 1 },
      });
      expect(view.pendingApprovals[0]?.summary).toContain(
        'precision 100% (95% interval 34% to 100%): 2 of 2 reviewed samples are harmful; 1 disputed',
      );
      const told = view.timeline.filter(({ text }) => text.startsWith('called a sample'));
      expect(told.map(({ actor, text }) => [actor, text])).toEqual([
        ['mara', 'called a sample benign'],
        ['mara', 'called a sample harmful'],
        ['ben', 'called a sample harmful'],
        ['ben', 'called a sample harmful'],
        ['mara', 'called a sample benign'],
      ]);
    });
  });

  it('keeps what was sampled, and what was said of it, when a step samples again', async () => {
    await withSamples(async (incident, world) => {
      await mark(incident, 'mara', 's-000000000a', 'harmful');
      const [item] = SAMPLES.items;
      if (item === undefined) throw new Error('no sample');
      world.samples = { ...SAMPLES, count: 1, items: [{ ...item, id: 'out/d', ref: 's-000000000d' }] };
      const step = (await incident.view()).steps.find(({ uses }) => uses === 'sample')?.id ?? '';
      await incident.env.client.workflow
        .getHandle(incident.workflowId)
        .executeUpdate(messages.retryStepUpdate, {
          args: [{ actor: { person: 'mara', via: 'cli' as const }, step, reason: 'more came' }],
        });
      await incident.until('sampled again', (view) => view.samples?.count === 4);
      const { samples } = await incident.view();
      expect(samples?.items.map(({ id }) => id)).toEqual(['out/d', 'out/a', 'out/b', 'out/c']);
      expect(samples?.reviewed).toMatchObject({ harmful: 1 });
    });
  });

  it('refuses a sample that there is not, and a verdict that is none', async () => {
    await withSamples(async (incident) => {
      const cause = async (marking: Promise<unknown>) => {
        const error = (await marking.catch((thrown: unknown) => thrown)) as Error;
        expect(error.cause).toBeInstanceOf(ApplicationFailure);
        return (error.cause as Error).message;
      };
      expect(await cause(mark(incident, 'mara', 'out/z', 'harmful'))).toBe(
        'this incident has no such sample',
      );
      expect(await cause(mark(incident, 'mara', 'out/a', 'fine' as SampleVerdict))).toContain('a sample is');
      expect((await incident.view()).samples?.reviewed).toBeUndefined();
    });
  });
});
