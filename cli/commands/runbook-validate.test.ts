import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliError, EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { addValidateCommand } from './runbook-validate.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'validate-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function validate(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  const output = {
    print: (text: string) => (out += text),
    json: (value: unknown) => (out += JSON.stringify(value)),
  };
  const program = new Command();
  addValidateCommand(program, output as unknown as Output);
  try {
    await program.parseAsync(['validate', ...args], { from: 'user' });
    return { code: EXIT.ok, out, err: '' };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { code: error.exitCode, out, err: error.message };
  }
}

describe('runbook validate', () => {
  it('exits 2 for a path that cannot be read, and still tells what is wrong elsewhere', async () => {
    const wrong = join(folder, 'wrong.yaml');
    await writeFile(wrong, 'kind: Runbok\n');
    const { code, out } = await validate(join(folder, 'nowhere.yaml'), wrong);
    expect(code).toBe(EXIT.usage);
    expect(out).toContain('nowhere.yaml:1:1 error: cannot be read (ENOENT)');
    expect(out).toContain(`${wrong}:1:7 error`);
    expect((await validate(wrong)).code).toBe(EXIT.failed);
    expect((await validate(join(folder, 'nowhere.yaml'), '--json')).code).toBe(EXIT.usage);
  });

  it('exits 2 where there is no runbook at all', async () => {
    const scenario = join(folder, 'a.scenario.yaml');
    await writeFile(scenario, 'apiVersion: firebreak.dev/v1alpha1\nkind: Scenario\n');
    const { code, out, err } = await validate(scenario);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(`There is no runbook in ${scenario}`);
    expect(out).not.toContain('right');
    expect((await validate(folder)).code).toBe(EXIT.usage);
  });
});
