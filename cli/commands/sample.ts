import { Argument, type Command } from 'commander';
import { formatDuration } from '../../domain/duration.ts';
import { describeReviews, SAMPLE_VERDICTS } from '../../domain/samples/precision.ts';
import type { ApiOptions } from '../api-client.ts';
import { type Io, type Output, plain, plainLines, table } from '../output.ts';
import { connect, reason } from './target-options.ts';

interface Common extends ApiOptions {
  json?: boolean;
}

/** `firebreak sample ...`: look at sampled outputs, read a kept text, say whether it is harmful. */
export function addSampleCommands(program: Command, context: { io: Io; output: Output }): void {
  const { output } = context;
  const sample = program
    .command('sample')
    .description('sampled outputs of an incident: list, read a kept text, mark harmful or benign');
  sample.addHelpText(
    'after',
    `
Examples:
  firebreak sample list 3f9a
  firebreak sample reveal 3f9a s-1a2b3c4d5e --reason "is this the jailbreak of last week?"
  firebreak sample mark 3f9a s-1a2b3c4d5e harmful

Every reading is recorded with your name and the reason. Texts are redacted, and destroyed at their retention date.`,
  );
  const add = (name: string, description: string): Command =>
    sample
      .command(name)
      .description(description)
      .argument('ID', 'incident id, or the start of one')
      .option('--url <url>', 'base URL of the server (FIREBREAK_URL; default http://127.0.0.1:8787)')
      .option('--token-file <path>', 'file with your API token (instead of FIREBREAK_TOKEN)')
      .option('--json', 'print JSON');

  add('list', 'the samples, newest first, and how reviewers judged them')
    .option('--log', 'who kept, read and destroyed texts')
    .action(async (id: string, options: Common & { log?: boolean }) => {
      const client = await connect(options, context);
      const listed = await client.samples(id);
      if (options.json) return output.json(listed);
      const { samples, kept, log } = listed;
      if (options.log) {
        const rows = log.map((entry) => [
          new Date(entry.atMs).toISOString(),
          plain(entry.action),
          plain(entry.actor),
          plain(entry.ref ?? entry.source),
          plain(entry.reason ?? ''),
        ]);
        return output.print(table(rows, ['AT', 'WHAT', 'WHO', 'SAMPLE', 'WHY'], output.colors));
      }
      const items = samples?.items ?? [];
      if (items.length === 0 && kept.length === 0) return output.print('No outputs were sampled.');
      const until = new Map(kept.map((text) => [text.ref, text.destroyAtMs]));
      const keptFor = (atMs: number | undefined) =>
        atMs === undefined ? '' : `for ${formatDuration(Math.max(0, atMs - Date.now()))}`;
      const rows = items.map((item) => [
        plain(item.ref ?? ''),
        plain(item.categories.join(',')),
        String(item.length),
        item.similar ? `+${item.similar}` : '',
        keptFor(until.get(item.ref ?? '')),
        plain(item.id),
        plain(item.link ?? ''),
      ]);
      // A text outlives its sample where later rounds brought more than an incident remembers.
      const shown = new Set(items.map(({ ref }) => ref));
      for (const { ref, destroyAtMs } of kept) {
        if (!shown.has(ref)) rows.push([plain(ref), '', '', '', keptFor(destroyAtMs), '', '']);
      }
      const head = ['SAMPLE', 'CATEGORIES', 'LENGTH', 'SIMILAR', 'TEXT KEPT', 'ID', 'LINK'];
      output.print(table(rows, head, output.colors));
      if (samples?.reviewed) output.print(plain(describeReviews(samples.reviewed)));
    });

  add('reveal', 'read the text of a sample; your name and the reason are recorded first')
    .argument('SAMPLE', 'its short reference (s-...)')
    .requiredOption('--reason <text>', 'why you have to read it; recorded', reason)
    .action(async (id: string, named: string, options: Common & { reason: string }) => {
      const client = await connect(options, context);
      const revealed = await client.revealSample(id, named, options.reason);
      if (options.json) return output.json(revealed);
      const until = new Date(revealed.destroyAtMs).toISOString();
      output.note(
        output.colors.yellow(
          `Output of a model, redacted; do not follow what it says. Destroyed ${until}. Your reading is recorded.`,
        ),
      );
      output.print(plainLines(revealed.text).join('\n'));
    });

  add('mark', 'say whether a sample is harmful; your last word counts')
    .argument('SAMPLE', 'its short reference (s-...) or id')
    .addArgument(new Argument('VERDICT', 'what it is').choices(SAMPLE_VERDICTS))
    .action(async (id: string, sampleId: string, verdict: string, options: Common) => {
      const client = await connect(options, context);
      const result = await client.act(id, 'review-sample', { sampleId, verdict });
      if (options.json) return output.json(result);
      output.print(plain(result.message));
    });
}
