/**
 * A new step type is its folder: in a copy of the sources, one is added and nothing else is edited. The compiler checks its
 * input, its outputs can be read by others, and the workflows run it.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** What the command line, the compiler and the simulation are made of. */
const SOURCES = [
  'activities',
  'cli',
  'demo/world/scenario-names.ts',
  'domain',
  'runbooks',
  'scripts',
  'simulation',
  'webhooks',
  'worker',
  'workflows',
  'package.json',
];
const GENERATED = ['runbooks/steps/registry.ts', 'runbooks/steps/runners.ts'];

const DEFINITION = `import { z } from 'zod';
import { defineStep } from '../define.ts';

export const echoInput = z.strictObject({ text: z.string().min(1).describe('What is said again.') });

export type EchoInput = z.output<typeof echoInput>;

export const definition = defineStep({
  summary: 'Says a text again.',
  input: echoInput,
  outputs: { said: 'string', length: 'double' },
  describe: ({ text }) => \`says \${text}\`,
  templates: ({ text }) => (typeof text === 'string' ? [{ path: ['text'], text }] : []),
});
`;

const RUN = `import type { StepRunner } from '../context.ts';
import type { EchoInput } from './definition.ts';

export const run: StepRunner = {
  async run(context) {
    const said = await context.fill((context.step.with as EchoInput).text);
    context.record('evidence', \`Echo: \${said}\`);
    return { said, length: said.length };
  },
};
`;

function runbook(input: string, when: string): string {
  return `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: echo, owner: team@example.com, version: 1 }
spec:
  match: ['alertname="AiEcho"']
  correlateBy: [namespace, deployment]
  target: { kind: Deployment, cluster: local, namespace: '\${{ labels.namespace }}', name: '\${{ labels.deployment }}' }
  steps:
    - { id: page, uses: page, with: { roles: [oncall] } }
    - { id: say, uses: echo, with: ${input} }
    - { id: tell, uses: notify, needs: [say], when: '${when}', with: { to: ml, text: 'It said \${{ steps.say.said }}' } }
`;
}

function scenario(said: string): string {
  return `apiVersion: firebreak.dev/v1alpha1
kind: Scenario
metadata: { name: echo }
spec:
  alerts: [{ labels: { alertname: AiEcho, namespace: ai, deployment: llm-api } }]
  until: 1h
  expect:
    steps: { say: succeeded, tell: succeeded }
    notified: [ml]
    timeline: ['Echo: ${said}', 'Told ml']
`;
}

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'firebreak-new-step-'));
  await Promise.all(
    SOURCES.map((source) =>
      cp(path.join(ROOT, source), path.join(folder, source), {
        recursive: true,
        filter: (file) => !file.endsWith('.test.ts'),
      }),
    ),
  );
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  code: number;
  output: string;
}

/** Runs a program of the copy, as somebody at a terminal would. */
function run(...args: string[]): Promise<Ended> {
  const env = { ...process.env, XDG_CACHE_HOME: path.join(folder, 'cache'), NO_COLOR: '1' };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: folder, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, output: `${stdout}${stderr}` });
    });
  });
}

const firebreak = (...args: string[]) => run('cli/main.ts', 'runbook', ...args);

/** Digest of each source file, by its path. */
async function sources(): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const source of SOURCES.filter((name) => !name.includes('.'))) {
    const entries = await readdir(path.join(folder, source), { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((candidate) => candidate.isFile())) {
      const file = path.join(entry.parentPath, entry.name);
      const digest = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      digests.set(path.relative(folder, file), digest);
    }
  }
  return digests;
}

it('is known, checked and run by its folder alone', async () => {
  await writeFile(path.join(folder, 'echo.yaml'), runbook('{ text: Hello }', 'steps.say.length > 4.0'));
  const before = await firebreak('validate', 'echo.yaml');
  expect(before.code).toBe(1);
  expect(before.output).toContain('unknown step type echo');

  const untouched = await sources();
  await mkdir(path.join(folder, 'runbooks/steps/echo'));
  await writeFile(path.join(folder, 'runbooks/steps/echo/definition.ts'), DEFINITION);
  await writeFile(path.join(folder, 'runbooks/steps/echo/run.ts'), RUN);
  expect(await run('scripts/steps.ts', folder)).toEqual({ code: 0, output: '' });
  const changed = [...(await sources())].filter(([file, digest]) => untouched.get(file) !== digest);
  expect(changed.map(([file]) => file).sort()).toEqual(
    [...GENERATED, 'runbooks/steps/echo/definition.ts', 'runbooks/steps/echo/run.ts'].sort(),
  );

  const valid = await firebreak('validate', 'echo.yaml');
  expect(valid, valid.output).toMatchObject({ code: 0 });
  // Its input, its outputs and its texts are checked like any other's.
  await writeFile(path.join(folder, 'wrong.yaml'), runbook('{ txet: Hello }', 'steps.say.lenght > 4.0'));
  const wrong = await firebreak('validate', 'wrong.yaml');
  expect(wrong.code).toBe(1);
  expect(wrong.output).toMatch(/txet/);
  expect(wrong.output).toMatch(/lenght/);
  await writeFile(
    path.join(folder, 'wrong.yaml'),
    runbook(`{ text: 'Hello \${{ metrics.unheardOf }}' }`, 'steps.say.length > 4.0'),
  );
  expect((await firebreak('validate', 'wrong.yaml')).output).toMatch(/there is no metric unheardOf/);

  const explained = await firebreak('explain', 'echo.yaml');
  expect(explained.output).toContain('says Hello');
  expect((await firebreak('schema')).output).toContain('What is said again.');

  await writeFile(path.join(folder, 'echo.scenario.yaml'), scenario('Hello'));
  const simulated = await firebreak('simulate', 'echo.yaml', '--scenario', 'echo.scenario.yaml');
  expect(simulated, simulated.output).toMatchObject({ code: 0 });
  expect(simulated.output).toContain('Echo: Hello');
  await writeFile(path.join(folder, 'echo.scenario.yaml'), scenario('Goodbye'));
  expect((await firebreak('simulate', 'echo.yaml', '--scenario', 'echo.scenario.yaml')).code).toBe(1);
});
