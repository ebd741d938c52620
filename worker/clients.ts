import { Client, Connection } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { FirebreakConfig } from './config/schema.ts';

export interface TemporalTarget {
  address: string;
  namespace: string;
  tls: boolean | object | undefined;
  apiKey: string | undefined;
}

/** Where Temporal is: the environment configuration (temporal.toml, TEMPORAL_*), over it firebreak.yaml. */
export function temporalTarget(
  config: FirebreakConfig['temporal'],
  env: Record<string, string | undefined>,
): TemporalTarget {
  const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const loaded = loadClientConnectConfig({
    profile: config.profile,
    overrideEnvVars: Object.fromEntries(set),
  });
  const options = loaded.connectionOptions;
  return {
    address: config.address ?? options.address ?? '127.0.0.1:7233',
    namespace: config.namespace ?? loaded.namespace ?? 'default',
    tls: options.tls ?? undefined,
    apiKey: typeof options.apiKey === 'string' ? options.apiKey : undefined,
  };
}

/**
 * Pauses between attempts to reach a Temporal that went away. gRPC's own grow to two minutes: alerts would be refused for
 * that long after Temporal is back (https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md).
 */
const RECONNECT_BACKOFF = {
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

/** A client that connects when it is first used: intake answers 503 while Temporal is away, and recovers by itself. */
export function lazyClient(target: TemporalTarget, dataConverter: DataConverter): Client {
  const connection = Connection.lazy({
    address: target.address,
    tls: target.tls as never,
    apiKey: target.apiKey,
    channelArgs: RECONNECT_BACKOFF,
  });
  return new Client({ connection, namespace: target.namespace, dataConverter });
}
