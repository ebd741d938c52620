import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../worker/config/load.ts';

const DOCS = fileURLToPath(new URL('../docs/', import.meta.url));
const FOLDER = path.join(DOCS, 'integrations');
/** Two screens: whoever sets up one vendor reads it all. */
const MAX_LINES = 110;
const SECTIONS = [
  'Create there',
  'Least rights',
  'Configuration',
  'Try it',
  'What it looks like',
  'When it is down',
];

const pages = readdirSync(FOLDER).map((name) => ({
  name,
  text: readFileSync(path.join(FOLDER, name), 'utf8'),
}));
const index = readFileSync(path.join(DOCS, 'integrations.md'), 'utf8');

function blocks(text: string, file: string): string[] {
  return [...text.matchAll(/```yaml\n(.*?)```/gs)]
    .map((found) => found[1] ?? '')
    .filter((block) => block.startsWith(`# ${file}\n`));
}

describe.each(pages)('docs/integrations/$name', ({ name, text }) => {
  it('has the configuration of one integration, which the server would take', () => {
    const examples = blocks(text, 'firebreak.yaml');
    expect(examples).toHaveLength(1);
    for (const example of examples)
      expect(() => parseConfig(example, { file: name, folder: FOLDER })).not.toThrow();
    // Each block says which file it is, so that none is left unchecked.
    const known = examples.length + blocks(text, 'alertmanager.yml').length;
    expect(text.split('```yaml').length - 1).toBe(known);
  });

  it('says what to do in the order of every other page, within two screens, with a picture', () => {
    const sections = [...text.matchAll(/^## (.+)$/gm)].map((found) => found[1]);
    expect(sections).toEqual(SECTIONS);
    expect(text.split('\n').length).toBeLessThanOrEqual(MAX_LINES);
    expect(text).toMatch(/^!\[.+\]\(\.\.\/pictures\/.+\.png\)$/m);
    expect(text).toContain('by a script');
  });

  it('stands in the index', () => {
    expect(index).toContain(`](integrations/${name})`);
  });
});

it('shows receivers as deploy/alertmanager/alertmanager.yml has them', () => {
  const file = new URL('../deploy/alertmanager/alertmanager.yml', import.meta.url);
  const deployed = parse(readFileSync(file, 'utf8')) as { receivers: unknown[] };
  const shown = pages.flatMap(({ text }) => blocks(text, 'alertmanager.yml'));
  expect(shown.length).toBeGreaterThan(0);
  for (const block of shown) {
    const { receivers } = parse(block) as { receivers: unknown[] };
    for (const receiver of receivers) expect(deployed.receivers).toContainEqual(receiver);
  }
});

it('explain every line of firebreak doctor', () => {
  const page = readFileSync(path.join(DOCS, 'doctor.md'), 'utf8');
  const sources = globSync('worker/{doctor.ts,doctor/*.ts}', { cwd: path.join(DOCS, '..') })
    .filter((file) => !file.endsWith('.test.ts'))
    .map((file) => readFileSync(path.join(DOCS, '..', file), 'utf8'));
  // Up to what is filled in: `pager ` of `pager ${kind} of ${role}`.
  const lines = sources.flatMap((source) =>
    [...source.matchAll(/\bprobe\(\s*['`]([^'`$]+)/g)].map((found) => found[1] ?? ''),
  );
  expect(lines.length).toBeGreaterThan(15);
  expect(lines.filter((line) => !page.includes(`\`${line}`))).toEqual([]);
});

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#{1,6} (.+)$/gm)].map((found) =>
    (found[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

it('links to files and headings that are there', () => {
  const files = [
    'integrations.md',
    'architecture.md',
    'doctor.md',
    'slack.md',
    'slack-messages.md',
    'paging.md',
    'tickets.md',
    'samples.md',
    'access.md',
    'drill.md',
  ].map((name) => path.join(DOCS, name));
  const broken: string[] = [];
  for (const file of [
    ...files,
    ...pages.map(({ name }) => path.join(FOLDER, name)),
    path.join(DOCS, '..', 'README.md'),
  ]) {
    const text = readFileSync(file, 'utf8').replaceAll(/```.*?```/gs, '');
    for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [to = '', anchor] = link.split('#');
      const target = to === '' ? file : path.resolve(path.dirname(file), to);
      const there =
        existsSync(target) &&
        (anchor === undefined || anchorsOf(readFileSync(target, 'utf8')).includes(anchor));
      if (!there) broken.push(`${path.relative(DOCS, file)}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
});
