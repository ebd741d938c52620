import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

/** A probe that takes longer is a probe that failed. */
const CHECK_TIMEOUT_MS = 6_000;

/** One thing that has to work before alerts can be taken. Resolves to problems, for people; throws when it cannot say. */
export interface ReadinessCheck {
  name: string;
  check(): Promise<readonly string[]>;
}

interface ReadinessReport {
  ready: boolean;
  checks: { name: string; ok: boolean; problems: readonly string[] }[];
}

async function runChecks(checks: readonly ReadinessCheck[]): Promise<ReadinessReport> {
  const results = await Promise.all(
    checks.map(async ({ name, check }) => {
      try {
        const problems = await withTimeout(check());
        return { name, ok: problems.length === 0, problems };
      } catch (error) {
        return { name, ok: false, problems: [error instanceof Error ? error.message : 'the check failed'] };
      }
    }),
  );
  return { ready: results.every(({ ok }) => ok), checks: results };
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

async function withTimeout<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
