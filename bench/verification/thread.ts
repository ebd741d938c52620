/** Simulates the pieces that it is sent, one after the other. */
import { parentPort } from 'node:worker_threads';
import type { Piece } from './run.ts';
import { simulate } from './simulate.ts';

parentPort?.on('message', ({ cell, seed, from, until }: Piece) => {
  parentPort?.postMessage(simulate(cell, seed, from, until));
});
