import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { within } from '../activities/within.ts';

/** A probe that takes longer is a probe that failed. */
const CHECK_TIMEOUT_MS = 6_000;

/** What a check found, where it has more to say than problems. */
export interface CheckResult {
  /** Alerts cannot be taken because of these, for people. */
  problems: readonly string[];
  /** Alerts can be taken, and somebody should look at these. */
  degraded?: readonly string[];
  details?: Readonly<Record<string, unknown>>;
}

/** One thing that has to work before alerts can be taken. Resolves to problems, for people; throws when it cannot say. */
export interface ReadinessCheck {
  name: string;
  check(): Promise<readonly string[] | CheckResult>;
}

interface ReadinessReport {
  ready: boolean;
  /** Ready, but not as it should be: a replica out of service would help nobody. */
  degraded: boolean;
  checks: ({ name: string; ok: boolean } & CheckResult)[];
}

async function runChecks(checks: readonly ReadinessCheck[]): Promise<ReadinessReport> {
  const results = await Promise.all(
    checks.map(async ({ name, check }) => {
      try {
        const found = await within(check(), CHECK_TIMEOUT_MS, tooLate);
        const result = 'problems' in found ? found : { problems: found };
        return { name, ok: result.problems.length === 0, ...result };
      } catch (error) {
        return { name, ok: false, problems: [error instanceof Error ? error.message : 'the check failed'] };
      }
    }),
  );
  return {
    ready: results.every(({ ok }) => ok),
    degraded: results.some(({ degraded = [] }: Partial<CheckResult>) => degraded.length > 0),
    checks: results,
  };
}

function tooLate(): Error {
  return new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`);
}

/** GET /healthz (the process answers), /readyz (it can do its work), /metrics. No credentials: probes have none. */
export async function healthRoutes(
  app: FastifyInstance,
  deps: { checks: readonly ReadinessCheck[]; registry: Registry },
): Promise<void> {
  app.get('/healthz', async () => ({ ok: true }));
  app.get('/readyz', async (_request, reply) => {
    const report = await runChecks(deps.checks);
    return reply.code(report.ready ? 200 : 503).send(report);
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(deps.registry.contentType).send(await deps.registry.metrics()),
  );
}
