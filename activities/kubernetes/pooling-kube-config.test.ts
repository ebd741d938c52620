import { HttpMethod, RequestContext } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import { PoolingKubeConfig } from './pooling-kube-config.ts';

const CERTIFICATE = Buffer.from('a certificate').toString('base64');
const RENEWED = Buffer.from('a renewed certificate').toString('base64');

function kubeConfig(): PoolingKubeConfig {
  const config = new PoolingKubeConfig();
  config.loadFromOptions({
    clusters: [
      { name: 'local', server: 'https://127.0.0.1:6443', skipTLSVerify: false, caData: CERTIFICATE },
    ],
    users: [{ name: 'firebreak', certData: CERTIFICATE, keyData: CERTIFICATE }],
    contexts: [{ name: 'local', cluster: 'local', user: 'firebreak' }],
    currentContext: 'local',
  });
  return config;
}

async function poolFor(config: PoolingKubeConfig) {
  const context = new RequestContext('https://127.0.0.1:6443/version', HttpMethod.GET);
  await config.applySecurityAuthentication(context);
  return context.getDispatcher();
}

function withCertificate(config: PoolingKubeConfig, certData: string): void {
  config.users = config.users.map((user) => ({ ...user, certData }));
}

describe('connections of a cluster', () => {
  it('are kept from call to call', async () => {
    const config = kubeConfig();
    const pool = await poolFor(config);
    expect(pool).toBeDefined();
    expect(await poolFor(config)).toBe(pool);
    const [one, other] = await Promise.all([poolFor(config), poolFor(config)]);
    expect([one, other]).toEqual([pool, pool]);
  });

  it('are made anew with credentials that were renewed, also where calls overlap', async () => {
    const config = kubeConfig();
    const before = poolFor(config);
    withCertificate(config, RENEWED);
    const after = poolFor(config);
    expect(await after).not.toBe(await before);
    expect(await poolFor(config)).toBe(await after);
  });

  it('of another cluster are others', async () => {
    expect(await poolFor(kubeConfig())).not.toBe(await poolFor(kubeConfig()));
  });

  it('carry the headers that authenticate each call', async () => {
    const config = kubeConfig();
    config.users = [{ name: 'firebreak', token: 'one' }];
    const context = new RequestContext('https://127.0.0.1:6443/version', HttpMethod.GET);
    await config.applySecurityAuthentication(context);
    expect(context.getHeaders().Authorization).toBe('Bearer one');
  });
});
