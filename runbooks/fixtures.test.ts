import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { installationOf } from '../worker/config/installation.ts';
import { loadConfig } from '../worker/config/load.ts';
import { compileRunbook } from './compile.ts';
import { runbookJsonSchema } from './json-schema.ts';
import { LIBRARY_PATH } from './load.ts';
import type { Problem } from './problem.ts';
import { formatProblems } from './report.ts';
import { RULES } from './rules.ts';
import { YamlSource } from './yaml-source.ts';

/**
 * Runbooks as people write them, each with the problems that it has in comments at its top:
 * `# expect: <line>:<column> <rule> <severity>`. Those named config-* are checked against firebreak.yaml beside them.
 */
const FOLDER = fileURLToPath(new URL('../test/fixtures/runbooks/', import.meta.url));

interface Fixture {
  name: string;
  file: string;
  text: string;
  expected: string[];
}

function fixturesIn(folder: string): Fixture[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => {
      const text = readFileSync(`${folder}/${name}`, 'utf8');
      const expected = [...text.matchAll(/^\uFEFF?# expect: (.*?)\r?$/gm)].map((found) => found[1] ?? '');
      return { name: basename(name, '.yaml'), file: `${folder}/${name}`, text, expected };
    });
}

const invalid = fixturesIn(`${FOLDER}invalid`);
const valid = fixturesIn(`${FOLDER}valid`);
const config = loadConfig(`${FOLDER}firebreak.yaml`);
const INSTALLED = { inputs: config.runbooks.inputs, installation: installationOf(config) };

function compile({ name, text }: Fixture) {
  return compileRunbook(`${name}.yaml`, text, name.startsWith('config-') ? INSTALLED : {});
}

function summary({ line, column, rule, severity }: Problem): string {
  return `${line}:${column} ${rule} ${severity}`;
}

describe('fixtures of runbooks', () => {
  it('are many', () => {
    expect(invalid.length).toBeGreaterThanOrEqual(65);
    expect(valid.length).toBeGreaterThanOrEqual(22);
  });

  it.each(invalid)('invalid/$name has exactly the problems that it names', (fixture) => {
    const result = compile(fixture);
    expect(result.ok).toBe(false);
    expect(result.problems.map(summary)).toEqual(fixture.expected);
    expect(fixture.expected).not.toEqual([]);
  });

  it.each(valid)('valid/$name compiles, with exactly the warnings that it names', (fixture) => {
    const result = compile(fixture);
    expect(result.problems.map(summary)).toEqual(fixture.expected);
    expect(result.ok).toBe(true);
  });

  it.each([...invalid, ...valid])(
    '$name: messages are one line each, and the caret is under the place',
    (fixture) => {
      const lines = fixture.text.replace(/^\uFEFF/, '').split('\n');
      for (const problem of compile(fixture).problems) {
        expect(RULES).toHaveProperty([problem.rule]);
        expect(problem.message).toMatch(/^[^\p{Cc}\p{Cf}]+$/u);
        expect(problem.message).not.toMatch(/ at .*\.ts:\d|undefined|\[object|NaN /);
        const line = (lines[problem.line - 1] ?? '').trimEnd();
        expect(line.startsWith(problem.excerpt ?? 'no excerpt')).toBe(true);
        // One past the end where something is missing there.
        expect(problem.column).toBeLessThanOrEqual(line.length + 1);
        expect(problem.length).toBeGreaterThanOrEqual(1);
      }
      const report = formatProblems(compile(fixture).problems);
      const blocks = report.split('\n\n').slice(0, -1);
      for (const block of blocks) {
        const [head = '', shown = '', caret = ''] = block.split('\n');
        const column = Number(/:\d+:(\d+) /.exec(head)?.[1]);
        expect(caret.indexOf('^')).toBe(shown.indexOf('|') + 1 + column);
      }
    },
  );

  it('hit every rule, but those of files as such', () => {
    const hit = new Set(
      [...invalid, ...valid].flatMap((fixture) => compile(fixture).problems.map(({ rule }) => rule)),
    );
    const missed = Object.keys(RULES).filter((rule) => !hit.has(rule));
    // They need files or several runbooks: load.test.ts.
    expect(missed.sort()).toEqual([
      'file/encoding',
      'file/too-large',
      'file/unreadable',
      'inputs/unknown-runbook',
      'runbook/duplicate-name',
      'runbook/never-matches',
    ]);
  });
});

describe('the JSON Schema', () => {
  const validate = new Ajv2020({
    strict: true,
    allowUnionTypes: true,
    strictTypes: false,
    strictRequired: false,
  }).compile(runbookJsonSchema());
  /** What both say: the shape of a file, of which the compiler knows more than a schema can say. */
  const isOfShape = (rule: string) => rule.startsWith('schema/') || rule === 'steps/unknown-type';

  const library = [LIBRARY_PATH, `${LIBRARY_PATH}/variants`].flatMap(fixturesIn);
  const readable = [...invalid, ...valid, ...library].flatMap((fixture) => {
    const { problems, value } = new YamlSource(fixture.name, fixture.text);
    return problems.length > 0 || (value as { kind?: string } | null)?.kind === 'Scenario'
      ? []
      : [{ ...fixture, value }];
  });

  it.each(readable)('says of $name what the compiler says of its shape', (fixture) => {
    const shape = compile(fixture).problems.filter(({ rule }) => isOfShape(rule));
    const agrees = validate(fixture.value) === (shape.length === 0);
    expect(agrees, JSON.stringify({ shape, ajv: validate.errors }, null, 1)).toBe(true);
  });

  it('has examples that are right', () => {
    const { examples } = runbookJsonSchema() as { examples: unknown[] };
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      expect(validate(example)).toBe(true);
      expect(compileRunbook('example.yaml', JSON.stringify(example))).toMatchObject({
        ok: true,
        problems: [],
      });
    }
  });
});
