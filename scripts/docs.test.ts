import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compileRunbook } from '../runbooks/compile.ts';
import { RULES } from '../runbooks/rules.ts';
import { STEP_TYPES } from '../runbooks/steps/definitions.ts';
import { generatedPages } from './docs.ts';

const pages = generatedPages();

describe('the examples of docs/runbooks.md', () => {
  const page = readFileSync(new URL('../docs/runbooks.md', import.meta.url), 'utf8');
  const runbooks = [...page.matchAll(/```yaml\n(.*?)```/gs)]
    .map((found) => found[1] ?? '')
    .filter((text) => text.includes('apiVersion:'));

  it('are runbooks without a problem or warning', () => {
    expect(runbooks.length).toBeGreaterThan(0);
    for (const text of runbooks)
      expect(compileRunbook('example.yaml', text)).toMatchObject({ ok: true, problems: [] });
  });
});

describe('the generated pages of docs/', () => {
  it.each(Object.keys(pages))(
    '%s is what the code says now (else: node scripts/bootstrap.mjs scripts/docs.ts)',
    (file) => {
      expect(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).toBe(pages[file]);
    },
  );

  it('say of every rule what it asks for, why, and what to do', () => {
    const page = pages['docs/rules.md'] ?? '';
    for (const rule of Object.keys(RULES)) expect(page).toContain(`\n### ${rule}\n`);
    for (const { asks, why, mend } of Object.values(RULES)) {
      for (const text of [asks, why, mend]) expect(text).toMatch(/^\S.*[.?:)]$/);
    }
    // Examples are what the compiler says of a fixture; rules of files as such, and of several runbooks, have none.
    const examples = page.split('```text').length - 1;
    expect(Object.keys(RULES).length - examples).toBeLessThanOrEqual(6);
  });

  it('name every step type with its fields', () => {
    // Columns are padded by the formatter.
    const reference = (pages['docs/runbook-reference.md'] ?? '').replace(/ +/g, ' ');
    for (const type of STEP_TYPES) expect(reference).toContain(`\n### ${type}\n`);
    expect(reference).toContain('| `escalate.after` | string | required |');
    expect(reference).toContain('| `harmRateBelow` | number | `0.01` |');
  });
});
