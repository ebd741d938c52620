#!/usr/bin/env node
import { readEnv } from './env.ts';
import { run } from './run.ts';

// `firebreak incident list | head` is no reason for a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), {
  env: readEnv(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
});
