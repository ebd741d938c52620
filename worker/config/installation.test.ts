import { expect, it } from 'vitest';
import { installationOf } from './installation.ts';
import { parseConfig } from './load.ts';

it('lists what runbooks can name, and of each group the people who can approve', () => {
  const config = parseConfig(
    `
clusters:
  eu-1: { prometheus: { url: http://127.0.0.1:9090 }, namespaces: { llm: { mode: approve }, batch: {} } }
paging:
  roles: { ml-oncall: { channels: [{ type: webhook, url: http://127.0.0.1:1 }] } }
samples: { outputs: { type: http-json, url: http://127.0.0.1:2 } }
notifications: { ml-platform: { type: webhook, url: http://127.0.0.1:3 } }
http: { model-gateway: { url: http://127.0.0.1:4 } }
access:
  people:
    - { id: ada, name: Ada, groups: [ml-oncall, audit] }
    - { id: eve, name: Eve, groups: [ml-oncall, gone], active: false }
  rules: { viewer: [audit], responder: [ml-oncall] }
`,
    { file: 'firebreak.yaml', folder: '/' },
  );
  expect(installationOf(config)).toEqual({
    roles: ['ml-oncall'],
    policies: [],
    groups: { 'ml-oncall': ['ada'], audit: [], gone: [] },
    clusters: { 'eu-1': ['llm', 'batch'] },
    sources: ['outputs'],
    channels: ['ml-platform'],
    endpoints: ['model-gateway'],
    ticketing: false,
    pullRequests: false,
  });
});

it('leaves the inputs of runbooks as they are written', () => {
  const text = 'runbooks: { inputs: { harm: { link: "file:notes", limit: 0.05, dry: true } } }';
  const config = parseConfig(text, { file: 'firebreak.yaml', folder: '/etc' });
  expect(config.runbooks.inputs).toEqual({ harm: { link: 'file:notes', limit: 0.05, dry: true } });
});
