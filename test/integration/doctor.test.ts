/** `firebreak doctor` of a whole installation: Temporal, cluster, Prometheus and the emulated vendors. */
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandLine } from '../e2e/command-line.ts';
import { type Installation, install } from '../e2e/installation.ts';

const NAMESPACE = 'doctor';

let installation: Installation;
beforeAll(async () => {
  installation = await install({ name: NAMESPACE, namespaces: { [NAMESPACE]: 'approve' } });
});
afterAll(() => installation?.close());

interface Finding {
  what: string;
  ok: boolean;
  detail: string;
}

it('finds what works in order, and names what this installation lacks', async () => {
  const config = path.join(installation.firebreak.dir, 'firebreak.yaml');
  const { code, out } = await commandLine(['doctor', '--config', config, '--json']);
  const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] };
  const of = (what: string) => findings.find((finding) => finding.what === what);
  for (const what of [
    'runbooks',
    'temporal',
    'cluster local: prometheus',
    `cluster local: rights in ${NAMESPACE}`,
    'chat: slack',
    'tickets: github',
    'pager pagerduty of ml-oncall',
    'access: people',
    'access: commanders',
  ])
    expect(of(what)).toMatchObject({ what, ok: true });
  // The demo's installation has no watchdog: it is said, with where to add it, and the exit code says it to scripts.
  expect(of('watchdog')).toMatchObject({ ok: false, detail: expect.stringContaining('paging.watchdog') });
  expect({ ok, code }).toEqual({ ok: false, code: 1 });
  expect(installation.vendors.pagerDuty.pages()).toEqual([]);
});
