import type { IncidentView } from '../../domain/incident.ts';
import { pollUntil } from '../stack/poll.ts';
import type { Api } from './api.ts';

/** Something happened, in a few words. */
export type Story = (kind: 'world' | 'incident', text: string) => void;

export interface Follower {
  readonly incidentId: string;
  until(what: string, timeoutMs: number, wanted: (view: IncidentView) => boolean): Promise<IncidentView>;
  stop(): Promise<void>;
}

/**
 * Reads the incident again and again, and tells each new line of its timeline.
 * @param label before each line, where several incidents are told.
 */
export function followIncident(api: Api, incidentId: string, story: Story, label = ''): Follower {
  let told = 0;
  const look = async (): Promise<IncidentView> => {
    const view = await api.incident(incidentId);
    for (const entry of view.timeline) {
      if (entry.seq <= told) continue;
      told = entry.seq;
      const at = ((entry.atMs - (view.milestones.triggered ?? entry.atMs)) / 1_000).toFixed(1);
      story(
        'incident',
        `${label}+${at.padStart(5)} s  ${entry.kind.padEnd(12)} ${entry.text}${entry.actor === 'firebreak' ? '' : ` (${entry.actor})`}`,
      );
    }
    return view;
  };
  return {
    incidentId,
    async until(what, timeoutMs, wanted) {
      let last: IncidentView | undefined;
      try {
        return await pollUntil(`Incident ${incidentId} ${what}`, timeoutMs, async () => {
          last = await look();
          return wanted(last) ? last : undefined;
        });
      } catch (error) {
        const lines = last?.timeline.map((entry) => `  ${entry.kind}: ${entry.text}`) ?? [];
        throw new Error(
          `${(error as Error).message}; it is ${last?.state ?? 'unknown'}:\n${lines.join('\n')}`,
        );
      }
    },
    async stop() {
      await look().catch(() => undefined);
    },
  };
}

/** Tells what a change of the world was made for; nothing where there was none. */
export async function tell(story: Story, change: Promise<string | undefined>): Promise<void> {
  const why = await change;
  if (why !== undefined) story('world', why);
}
