import { describe, expect, it } from 'vitest';
import { createKeepTexts } from './keep.ts';
import { SealError, seal, unseal } from './seal.ts';
import type { EvidenceStore, WrappedKey } from './store.ts';
import { createVault } from './vault.ts';

const CANARY = 'CANARY-77be';
const KEYS = [{ id: 'k-1', key: Buffer.alloc(32, 1) }];

/** The store's contract in memory: the SQL one is tested on the real server. */
function memory(order: string[]) {
  const sealed: string[] = [];
  const store = {
    async openKey(fresh: WrappedKey) {
      order.push('key');
      return fresh;
    },
    async keep({ texts }: Parameters<EvidenceStore['keep']>[0]) {
      order.push('texts');
      sealed.push(...texts.map((text) => text.sealed));
      return texts.map(({ ref }) => ref);
    },
  } as unknown as EvidenceStore;
  return { store, sealed };
}

describe('keeping texts', () => {
  const texts = [{ ref: 's-1', text: `${CANARY} a@b.io` }];
  const ask = { incidentId: 'inc-1', source: 'outputs', retentionMs: 1_000, texts };

  it('starts the timer that destroys them before any is stored', async () => {
    const order: string[] = [];
    const { store, sealed } = memory(order);
    const keep = createKeepTexts({
      vault: createVault(store, KEYS),
      redact: () => async (text) => ({ text, counts: {} }),
      startRetention: async ({ destroyAtMs }) => void order.push(`timer ${destroyAtMs}`),
      now: () => 5_000,
    });
    expect(await keep(ask)).toEqual({ keptRefs: new Set(['s-1']), destroyAtMs: 6_000 });
    expect(order).toEqual(['key', 'timer 6000', 'texts']);
    expect(Buffer.from(sealed[0] ?? '', 'base64').toString('latin1')).not.toContain(CANARY);
  });

  it.each([
    ['a detector', { redact: () => () => Promise.reject(new Error(`cannot read ${CANARY}`)) }],
    ['the timer', { startRetention: () => Promise.reject(new Error(`no ${CANARY}`)) }],
  ])('keeps nothing, and quotes nothing, where %s fails', async (_what, broken) => {
    const order: string[] = [];
    const { store } = memory(order);
    const keep = createKeepTexts({
      vault: createVault(store, KEYS),
      redact: () => async (text) => ({ text, counts: {} }),
      startRetention: async () => {},
      ...broken,
    });
    const error = (await keep(ask).catch((thrown: unknown) => thrown)) as Error;
    expect(order).not.toContain('texts');
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain('CANARY');
  });
});

describe('a sealed text', () => {
  const [{ key }] = KEYS as [(typeof KEYS)[number]];
  const bound = ['text', 'inc-1', 'k', 's-1'];
  it('opens with its key and what it is bound to only', () => {
    const sealed = seal(key, Buffer.from('hello'), bound);
    expect(unseal(key, sealed, bound).toString()).toBe('hello');
    expect(() => unseal(Buffer.alloc(32, 2), sealed, bound)).toThrow(SealError);
    expect(() => unseal(key, sealed, ['text', 'inc-1', 'k', 's-2'])).toThrow(SealError);
    expect(() => unseal(key, sealed.slice(0, 20), bound)).toThrow(SealError);
    const changed = Buffer.from(sealed, 'base64');
    changed[14] = (changed[14] ?? 0) ^ 1;
    expect(() => unseal(key, changed.toString('base64'), bound)).toThrow(SealError);
  });
});
