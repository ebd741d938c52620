import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { generatedRegistry } from './steps.ts';

const ROOT = path.resolve(import.meta.dirname, '..');

it.each(Object.entries(generatedRegistry(ROOT)))(
  '%s has every step type that has a folder: else run node scripts/bootstrap.mjs scripts/steps.ts',
  (file, text) => {
    expect(readFileSync(path.join(ROOT, file), 'utf8')).toBe(text);
  },
);
