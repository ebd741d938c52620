import { describe, expect, it } from 'vitest';
import { configReference } from './reference.ts';
import { configSchema } from './schema.ts';

describe('configReference', () => {
  const page = configReference();
  const row = (path: string) => page.split('\n').find((line) => line.startsWith(`| \`${path}\` |`));

  it('has a section for every part of the schema', () => {
    for (const name of Object.keys(configSchema.shape)) expect(page).toContain(`\n## ${name}\n`);
  });

  it('shows types, defaults and meanings, also behind transformations', () => {
    expect(row('server.port')).toBe('| `server.port` | integer, 0 to 65535 | `8787` |  |');
    expect(row('access.decisionTtl')).toContain('| duration | `15m` | How long');
    expect(row('clusters.<name>.prometheus.timeout')).toContain('| duration | `10s` |');
    expect(row('clusters.<name>.namespaces.<name>.mode')).toContain(
      '`observe` or `approve` or `auto` | `observe`',
    );
  });

  it('shows what is required, inside maps, lists and alternatives', () => {
    expect(row('clusters.<name>.prometheus.url')).toContain('| URL | required |');
    expect(row('access.people[].id')).toContain('| required |');
    expect(row('paging.roles.<name>.channels[](pagerduty).routingKey')).toContain(
      '| secret reference | required |',
    );
    expect(row('paging.roles.<name>.channels[](webhook).url')).toContain('| required |');
  });

  it('names every setting once, in whole rows', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    const paths = rows.map((line) => line.split('`')[1]);
    expect(new Set(paths).size).toBe(paths.length);
    for (const line of rows) expect(line.replaceAll('\\|', '').split('|')).toHaveLength(6);
  });
});
