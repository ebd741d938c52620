import { describe, expect, it } from 'vitest';
import { type ConfigError, parseConfig } from './load.ts';
import { policiesOf } from './paging.ts';

const parse = (text: string) => parseConfig(text, { file: '/etc/firebreak.yaml', folder: '/etc' });

function problems(text: string): string[] {
  try {
    parse(text);
    return [];
  } catch (error) {
    return (error as ConfigError).problems.map(({ path, message }) => `${path}: ${message}`);
  }
}

const ROLES = `
  roles:
    office: { channels: [{ type: pagerduty, routingKey: 'env:KEY' }] }
    on-call: { channels: [{ type: webhook, url: 'file:irm-url', template: grafana-irm }] }`;

describe('the section paging', () => {
  it('gives policies as the activities take them', () => {
    const { paging } = parse(`
notifications: { war-room: { type: webhook, url: 'https://chat.example.com/hook' } }
paging:${ROLES}
  policies:
    day:
      levels: [{ roles: [office] }, { roles: [office, on-call], after: 10m }]
      workingHours: { timeZone: Europe/Berlin, from: '09:00', to: '17:30', outside: { policy: night } }
      fallOver: { channel: war-room }
    night: { levels: [{ roles: [on-call], after: 2m }], repeats: 0, fallOver: { role: office } }
  watchdog: { policy: day, deadMansSwitch: { url: 'env:HEARTBEAT_URL' } }`);
    expect(policiesOf(paging)).toEqual({
      day: {
        levels: [
          { roles: ['office'], afterMs: 300_000 },
          { roles: ['office', 'on-call'], afterMs: 600_000 },
        ],
        repeats: 2,
        workingHours: {
          timeZone: 'Europe/Berlin',
          days: ['mon', 'tue', 'wed', 'thu', 'fri'],
          fromMinute: 540,
          toMinute: 1_050,
          outside: 'night',
        },
        fallOver: { channel: 'war-room' },
      },
      night: { levels: [{ roles: ['on-call'], afterMs: 120_000 }], repeats: 0, fallOver: { role: 'office' } },
    });
    expect(paging.watchdog).toEqual({
      alertname: 'Watchdog',
      within: 600_000,
      roles: [],
      policy: 'day',
      deadMansSwitch: { url: 'env:HEARTBEAT_URL', every: 60_000 },
    });
    expect(paging.roles['on-call']?.channels[0]).toMatchObject({ url: 'file:/etc/irm-url' });
  });

  it('names every name that there is not', () => {
    expect(
      problems(`
paging:${ROLES}
  policies:
    day:
      levels: [{ roles: [office, offcie] }]
      workingHours: { timeZone: Europe/Berlin, from: '09:00', to: '17:30', outside: { level: 2 } }
      fallOver: { channel: war-room }
    night:
      levels: [{ roles: [on-call] }]
      workingHours: { timeZone: Europe/Berlin, from: '09:00', to: '17:30', outside: { policy: nigth } }
      fallOver: { role: nobody }
  watchdog: { roles: [ghost], policy: none }`),
    ).toEqual([
      'paging.policies.day.levels.0.roles.1: there is no role offcie under paging.roles',
      'paging.policies.day.workingHours.outside.level: this policy has 1 levels',
      'paging.policies.day.fallOver.channel: there is no channel war-room under notifications',
      'paging.policies.night.workingHours.outside.policy: there is no policy nigth under paging.policies',
      'paging.policies.night.fallOver.role: there is no role nobody under paging.roles',
      'paging.watchdog.roles.0: there is no role ghost under paging.roles',
      'paging.watchdog.policy: there is no policy none under paging.policies',
    ]);
  });

  it('refuses policies that hand over in a circle', () => {
    const hours = (outside: string) =>
      `{ timeZone: Europe/Berlin, from: '09:00', to: '17:30', outside: { policy: ${outside} } }`;
    expect(
      problems(`
paging:${ROLES}
  policies:
    a: { levels: [{ roles: [office] }], workingHours: ${hours('b')} }
    b: { levels: [{ roles: [office] }], workingHours: ${hours('a')} }`),
    ).toEqual([
      'paging.policies.a.workingHours.outside: these policies hand over to one another in a circle',
      'paging.policies.b.workingHours.outside: these policies hand over to one another in a circle',
    ]);
  });

  it.each([
    [
      'a channel of JSM without its key',
      `roles: { a: { channels: [{ type: webhook, template: jsm-operations, url: 'https://x.example.com' }] } }`,
      'bearerToken',
    ],
    [
      'an address that is none',
      `roles: { a: { channels: [{ type: webhook, url: 'ftp://x.example.com' }] } }`,
      'url',
    ],
    [
      'a zone that there is not',
      `policies: { a: { levels: [{ roles: [x] }], workingHours: { timeZone: Mars/Olympus, from: '09:00', to: '17:00', outside: { level: 1 } } } }`,
      'timeZone',
    ],
    [
      'an hour that there is not',
      `policies: { a: { levels: [{ roles: [x] }], workingHours: { timeZone: UTC, from: '25:00', to: '17:00', outside: { level: 1 } } } }`,
      'from',
    ],
    [
      'both ways outside of the hours',
      `policies: { a: { levels: [{ roles: [x] }], workingHours: { timeZone: UTC, from: '09:00', to: '17:00', outside: { level: 1, policy: b } } } }`,
      'outside',
    ],
    ['levels that follow at once', `policies: { a: { levels: [{ roles: [x], after: 1s }] } }`, 'after'],
    ['a watchdog that pages nobody', `watchdog: {}`, 'watchdog.roles'],
    ['a watchdog quicker than Alertmanager', `watchdog: { roles: [x], within: 5s }`, 'within'],
  ])('refuses %s', (_name, section, path) => {
    expect(problems(`paging: { ${section} }`).join('\n')).toContain(path);
  });
});
