import { writeFile } from 'node:fs/promises';
import type { ApiClient } from '../api-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type Output, plain } from '../output.ts';

/**
 * `firebreak incident plot`: the SVG to a file or to standard output, or the numbers behind it as JSON.
 * @throws CliError where there is none yet, or the file cannot be written.
 */
export async function writePlot(
  client: ApiClient,
  output: Output,
  id: string,
  options: { output?: string; json?: boolean },
): Promise<void> {
  if (options.json) {
    const { incidentId, harmHistory = null } = (await client.show(id)).incident;
    return output.json({ incidentId, harmHistory });
  }
  const svg = await client.harmPlot(id);
  if (options.output === undefined) return output.print(svg);
  try {
    await writeFile(options.output, svg);
  } catch (error) {
    const { code } = error as { code?: string };
    throw new CliError(
      EXIT.usage,
      'usage',
      `The plot cannot be written to ${plain(options.output)} (${code ?? 'unknown error'}).`,
      'Give another file with --output.',
    );
  }
  output.note(`Written to ${plain(options.output)}`);
}
