import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Decision, SignedDecision } from '../../domain/decision.ts';
import { createDecisionSigner, updateIdOf, verifyDecision } from './sign.ts';

function newPair(): { privateKeyPem: string; publicKeyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

const edge = newPair();
const signer = createDecisionSigner({ privateKeyPem: edge.privateKeyPem, keyId: 'edge-1' });
const publicKeys = { 'edge-1': edge.publicKeyPem };
const NOW = Date.UTC(2026, 0, 1);

const decision: Decision = {
  decision: 'approve',
  incidentId: 'inc-1',
  step: 'rollback',
  planHash: 'a'.repeat(64),
  person: 'alice',
  groups: ['ml-oncall'],
  issuedAtMs: NOW,
  expiresAtMs: NOW + 900_000,
  accessVersion: 'b'.repeat(64),
  via: 'api',
};

describe('signed decisions', () => {
  it('are believed when a known edge signed them', () => {
    expect(verifyDecision(signer.sign(decision), publicKeys, NOW)).toEqual({ ok: true });
  });

  it('survive being carried as JSON, keys in any order', () => {
    const { decision: inner, ...rest } = signer.sign(decision);
    const reversed = Object.fromEntries(Object.entries(inner).reverse());
    const carried = JSON.parse(JSON.stringify({ ...rest, decision: reversed })) as SignedDecision;
    expect(verifyDecision(carried, publicKeys, NOW)).toEqual({ ok: true });
  });

  it.each<Partial<Decision>>([
    { decision: 'reject' },
    { incidentId: 'inc-2' },
    { step: 'other' },
    { planHash: 'c'.repeat(64) },
    { person: 'mallory' },
    { groups: ['ml-oncall', 'commander'] },
    { expiresAtMs: NOW + 9_000_000 },
    { accessVersion: 'd'.repeat(64) },
    { reason: 'added' },
  ])('are not believed with %o changed', (change) => {
    const signed = signer.sign(decision);
    const check = verifyDecision({ ...signed, decision: { ...decision, ...change } }, publicKeys, NOW);
    expect(check).toMatchObject({ ok: false, reason: expect.stringContaining('signature') });
  });

  it('are not believed from an unknown edge, under a wrong key, or without a signature', () => {
    const signed = signer.sign(decision);
    expect(verifyDecision({ ...signed, keyId: 'edge-2' }, publicKeys, NOW)).toMatchObject({ ok: false });
    expect(verifyDecision({ ...signed, keyId: 'constructor' }, publicKeys, NOW)).toMatchObject({ ok: false });
    expect(verifyDecision(signed, { 'edge-1': newPair().publicKeyPem }, NOW)).toMatchObject({ ok: false });
    expect(verifyDecision({ ...signed, signature: '' }, publicKeys, NOW)).toMatchObject({ ok: false });
  });

  it('expire', () => {
    const signed = signer.sign(decision);
    expect(verifyDecision(signed, publicKeys, decision.expiresAtMs - 1)).toEqual({ ok: true });
    expect(verifyDecision(signed, publicKeys, decision.expiresAtMs)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('expired'),
    });
  });
});

describe('updateIdOf', () => {
  const id = updateIdOf('rollback', 'hash', 'alice', 'approve');

  it('is the same for the same decision and holds no personal data', () => {
    expect(updateIdOf('rollback', 'hash', 'alice', 'approve')).toBe(id);
    expect(id).not.toContain('alice');
  });

  it('differs with every part', () => {
    const others = [
      updateIdOf('rollback2', 'hash', 'alice', 'approve'),
      updateIdOf('rollback', 'hash2', 'alice', 'approve'),
      updateIdOf('rollback', 'hash', 'bob', 'approve'),
      updateIdOf('rollback', 'hash', 'alice', 'reject'),
      updateIdOf('rollback', 'hash', 'alice', 'approve', NOW),
    ];
    expect(new Set([id, ...others]).size).toBe(6);
  });
});
