import { type ServeOptions, serve } from './serve.ts';

/**
 * `firebreak serve`: runs until SIGINT or SIGTERM; a second signal ends at once. SIGHUP loads a changed access file and changed runbooks.
 * @param options.exitWithStdin ends when standard input closes, so that it never outlives a program that started it.
 * @returns the exit code.
 */
export async function runServe(options: ServeOptions & { exitWithStdin?: boolean }): Promise<number> {
  const serving = await serve(options);
  process.stderr.write(`firebreak: ${serving.url ?? 'no web server'} (stop with Ctrl-C)\n`);
  // A terminal that is closed sends it too, and means the end.
  if (!process.stdin.isTTY) process.on('SIGHUP', () => void serving.reload());
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130));
        resolve();
      });
    }
    if (options.exitWithStdin) {
      process.stdin.once('end', resolve).once('error', () => resolve());
      process.stdin.resume();
    }
  });
  await Promise.race([ended, serving.failed]);
  await serving.stop();
  // A pipe that is still read would keep the process.
  if (options.exitWithStdin) process.stdin.destroy();
  return 0;
}
