import { expect, it } from 'vitest';
import { loadRunbooks } from '../runbooks/load.ts';
import { clusterSchema } from './config/schema.ts';
import { watchCommands } from './watched-breakers.ts';

const breakers = [
  { namespace: 'ai', name: 'llm-api', runbook: 'ai-harm-response', fallback: 'llm-fallback' },
  { namespace: 'elsewhere', name: 'llm-api', runbook: 'ai-harm-response' },
  { namespace: 'ai', name: 'other', runbook: 'no-such' },
];

it('watches what is configured by the metrics of its runbook, and says what it cannot watch', async () => {
  const prod = clusterSchema.parse({ prometheus: { url: 'http://p' }, namespaces: { ai: {} }, breakers });
  const { runbooks } = await loadRunbooks();
  const { commands, problems } = watchCommands({ clusters: { prod } }, runbooks, 5);
  expect(commands).toMatchObject([
    {
      target: { cluster: 'prod', namespace: 'ai', kind: 'Deployment', name: 'llm-api' },
      command: {
        action: {
          kind: 'watch',
          spec: {
            fallback: 'llm-fallback',
            limits: { harmRate: 0.02, minExposure: 100 },
            windowMs: 300_000,
            recoveryMs: 300_000,
            metrics: { harmful: { type: 'counter' } },
          },
        },
      },
    },
  ]);
  expect(problems).toEqual([
    'prod/elsewhere/Deployment/llm-api: namespace elsewhere is not in the configuration',
    'prod/ai/Deployment/other: no runbook named no-such is loaded',
  ]);
});
