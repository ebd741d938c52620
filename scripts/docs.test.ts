import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RULES } from '../runbooks/rules.ts';
import { STEP_TYPES } from '../runbooks/steps/definitions.ts';
import { generatedPages } from './docs.ts';

const pages = generatedPages();

describe('the generated pages of docs/', () => {
  it.each(Object.keys(pages))(
    '%s is what the code says now (else: node scripts/bootstrap.mjs scripts/docs.ts)',
    (file) => {
      expect(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).toBe(pages[file]);
    },
  );

  it('name every step type with its fields, and every rule', () => {
    // Columns are padded by the formatter.
    const reference = (pages['docs/runbook-reference.md'] ?? '').replace(/ +/g, ' ');
    for (const type of STEP_TYPES) expect(reference).toContain(`\n### ${type}\n`);
    for (const rule of Object.keys(RULES)) expect(reference).toContain(`| \`${rule}\` |`);
    expect(reference).toContain('| `escalate.after` | string | required |');
    expect(reference).toContain('| `harmRateBelow` | number | `0.01` |');
  });
});
