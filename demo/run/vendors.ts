import { startEmulators } from '../vendors/emulators.ts';
import { startPagerDutySink } from '../vendors/pagerduty-sink.ts';
import { startSamplesRouter } from './samples-router.ts';

export type Vendors = Awaited<ReturnType<typeof startVendors>>;

/** The vendors of the local stack: PagerDuty, GitHub and Slack as they answer, and the samples of the traffic processes. */
export async function startVendors() {
  const [pagerDuty, emulators, samples] = await Promise.all([
    startPagerDutySink(),
    startEmulators(),
    startSamplesRouter(),
  ]);
  return {
    pagerDuty,
    emulators,
    samples,
    async close() {
      await Promise.all([pagerDuty.close(), emulators.close(), samples.close()]);
    },
  };
}
