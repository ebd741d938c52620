import { describe, expect, it } from 'vitest';
import { createKeepTexts } from './keep.ts';
import { emails, phones } from './redaction/numbers.ts';
import { createRedact } from './redaction/redact.ts';
import { SealError, seal, unseal } from './seal.ts';
import type { EvidenceStore, WrappedKey } from './store.ts';
import { createVault, type Vault } from './vault.ts';

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

describe('a text that is too long', () => {
  const KEPT_CHARS = 8_000;
  const kept = async (text: string) => {
    const texts: { ref: string; text: string }[] = [];
    const vault = {
      openKey: async () => ({ keyId: 'k', destroyAtMs: 1 }),
      keep: async (_key: unknown, given: typeof texts) => {
        texts.push(...given);
        return given.map(({ ref }) => ref);
      },
    } as unknown as Vault;
    const keep = createKeepTexts({
      vault,
      redact: () => createRedact([emails, phones]),
      startRetention: async () => {},
    });
    await keep({ incidentId: 'inc-1', source: 'outputs', retentionMs: 1, texts: [{ ref: 's-1', text }] });
    return texts[0]?.text ?? '';
  };

  it.each([
    ['an address', 'maria.fernandez@example.com', 'maria'],
    ['a number', '+49 30 901820', '+49'],
  ])('never keeps half of %s, wherever it is cut', async (_what, data, half) => {
    for (const before of [7_960, 7_980, 7_990, 7_995, 8_470, 8_480, 8_490, 8_495]) {
      const text = `${'word '.repeat(before / 5).slice(0, before - 1)} ${data} ${'more '.repeat(400)}`;
      const stored = await kept(text);
      expect(stored).not.toContain(half);
      expect(stored).not.toMatch(/\[\w*…$/);
      expect(stored.length).toBeLessThanOrEqual(KEPT_CHARS + 1);
      expect(stored.length).toBeGreaterThan(KEPT_CHARS - 600);
    }
  });

  it('is cut at a word, and in a script without spaces between characters', async () => {
    expect(await kept('word '.repeat(3_000))).toMatch(/ word…$/);
    const stored = await kept('\u{20BB7}'.repeat(6_000));
    expect(stored.isWellFormed()).toBe(true);
    expect(stored.length).toBeGreaterThan(KEPT_CHARS - 10);
    expect(await kept('short')).toBe('short');
  });
});

describe('texts that cannot be kept', () => {
  it('are counted, with the reason', async () => {
    const { store } = memory([]);
    const keep = createKeepTexts({
      vault: createVault(store, KEYS),
      redact: () => async (text) => {
        if (text.includes(CANARY)) throw new Error(text);
        return { text, counts: {} };
      },
      startRetention: async () => {},
    });
    const texts = [`${CANARY}`, 'fine'].map((text, index) => ({ ref: `s-${index}`, text }));
    const result = await keep({ incidentId: 'inc-1', source: 'outputs', retentionMs: 1_000, texts });
    expect(result.keptRefs).toEqual(new Set(['s-1']));
    expect(result.problem).toBe('1 of 2 texts were not kept: 1 could not be redacted');
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
