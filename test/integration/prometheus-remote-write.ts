/**
 * A sender of Prometheus' remote write: samples with any time, and the markers by which a scraper says that a series has
 * ended. https://prometheus.io/docs/specs/prw/remote_write_spec/
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import protobuf from 'protobufjs';
import { resolveParts } from '../../demo/parts/resolve-parts.ts';
import { startPrometheus } from '../../demo/stack/prometheus.ts';
import { Supervisor } from '../../demo/stack/supervisor.ts';

export interface WrittenSeries {
  /** With `__name__`. */
  labels: Record<string, string>;
  /** Ascending in time; `stale`: the series ends. */
  samples: { tMs: number; value: number | 'stale' }[];
}

// `value` is a double; as fixed64 its bits get there as they are, which a marker's must.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Label { string name = 1; string value = 2; }
  message Sample { fixed64 value = 1; int64 timestamp = 2; }
  message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
  message WriteRequest { repeated TimeSeries timeseries = 1; }
`);
const WriteRequest = root.lookupType('WriteRequest');

/** `StaleNaN` of Prometheus' model/value/value.go. */
const STALE_BITS = { low: 0x00000002, high: 0x7ff00000, unsigned: true };

function bitsOf(value: number | 'stale') {
  if (value === 'stale') return STALE_BITS;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return { low: view.getUint32(4) | 0, high: view.getUint32(0) | 0, unsigned: true };
}

const MAX_LITERAL = 65_536;

/** The block format of Snappy, without compression: https://github.com/google/snappy/blob/main/format_description.txt */
function snappyLiterals(bytes: Uint8Array): Buffer {
  const parts: Buffer[] = [];
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  parts.push(Buffer.from(length));
  for (let at = 0; at < bytes.length; at += MAX_LITERAL) {
    const chunk = bytes.subarray(at, at + MAX_LITERAL);
    const tag = Buffer.from([61 << 2, 0, 0]);
    tag.writeUInt16LE(chunk.length - 1, 1);
    parts.push(tag, Buffer.from(chunk));
  }
  return Buffer.concat(parts);
}

export async function remoteWrite(url: string, series: readonly WrittenSeries[]): Promise<void> {
  const timeseries = series
    .filter(({ samples }) => samples.length > 0)
    .map(({ labels, samples }) => ({
      labels: Object.entries(labels)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => ({ name, value })),
      samples: samples.map(({ tMs, value }) => ({ value: bitsOf(value), timestamp: tMs })),
    }));
  const answer = await fetch(`${url}/api/v1/write`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/x-protobuf',
      'Content-Encoding': 'snappy',
      'X-Prometheus-Remote-Write-Version': '0.1.0',
    },
    body: new Uint8Array(snappyLiterals(WriteRequest.encode({ timeseries }).finish())),
  });
  if (!answer.ok) throw new Error(`remote write was answered ${answer.status}: ${await answer.text()}`);
  await answer.body?.cancel();
}

/** A Prometheus of the test's own, which scrapes nothing. */
export async function startWritablePrometheus(): Promise<{ url: string; stop(): Promise<void> }> {
  const parts = await resolveParts(['prometheus', 'promtool']);
  const dir = await mkdtemp(path.join(tmpdir(), 'firebreak-prometheus-'));
  const supervisor = new Supervisor(path.join(dir, 'logs'));
  const stop = async () => {
    await supervisor.stop();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const { description } = await startPrometheus({
      supervisor,
      parts,
      dir,
      // Nobody is there: without rules nothing is ever told.
      alertmanager: '127.0.0.1:9',
      remoteWrite: true,
    });
    return { url: description.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
