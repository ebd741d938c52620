import { type Role, type ServeOptions, serve } from './serve.ts';

/** `firebreak serve`: runs until SIGINT or SIGTERM; a second signal ends at once. @returns the exit code. */
export async function runServe(options: ServeOptions & { roles?: Role[] }): Promise<number> {
  const serving = await serve(options);
  process.stderr.write(`firebreak: ${serving.url ?? 'no web server'} (stop with Ctrl-C)\n`);
  const signalled = new Promise<'signal'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130));
        resolve('signal');
      });
    }
  });
  await Promise.race([signalled, serving.failed]);
  await serving.stop();
  return 0;
}
