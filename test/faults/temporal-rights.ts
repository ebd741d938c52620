/** What somebody can do who has every right on Temporal, and the key of its payloads, but not the edge's signing key. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { type Decision, decisionText, type SignedDecision } from '../../domain/decision.ts';
import { createDataConverter } from '../../worker/codec/data-converter.ts';
import { loadOrCreateKeys } from '../../worker/keys.ts';
import type { Installation } from '../e2e/installation.ts';

export interface TemporalRights {
  client: Client;
  /** Id of the key that the edge signs with; it is in every decision in Temporal, so it is no secret. */
  edgeKeyId: string;
  /** Ids of all workflows that there are or were. */
  workflowIds(): Promise<string[]>;
  exists(workflowId: string): Promise<boolean>;
  close(): Promise<void>;
}

export async function takeTemporalRights(installation: Installation): Promise<TemporalRights> {
  const keys = await loadOrCreateKeys(`${installation.firebreak.dir}/data`);
  const connection = await Connection.connect({ address: installation.stack.temporal.address });
  const client = new Client({
    connection,
    namespace: installation.temporalNamespace,
    dataConverter: createDataConverter(keys.payload),
  });
  return {
    client,
    edgeKeyId: keys.edge.keyId,
    async workflowIds() {
      const ids = new Set<string>();
      for await (const { workflowId } of client.workflow.list()) ids.add(workflowId);
      return [...ids].sort();
    },
    async exists(workflowId) {
      try {
        await client.workflow.getHandle(workflowId).describe();
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
    close: () => connection.close(),
  };
}

/** An Ed25519 key that no worker trusts. */
export function foreignKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey;
}

const LIFETIME_MS = 600_000;

/** A decision as the edge would write it for maria. */
export function decisionOf(about: Pick<Decision, 'incidentId' | 'step' | 'planHash'>): Decision {
  const issuedAtMs = Date.now();
  return {
    decision: 'approve',
    ...about,
    person: 'maria',
    groups: ['ml-oncall'],
    issuedAtMs,
    expiresAtMs: issuedAtMs + LIFETIME_MS,
    accessVersion: '0'.repeat(64),
    via: 'api',
  };
}

export function signedBy(key: KeyObject, keyId: string, decision: Decision): SignedDecision {
  return {
    decision,
    keyId,
    signature: sign(null, Buffer.from(decisionText(decision)), key).toString('base64'),
  };
}
