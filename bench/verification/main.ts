/**
 * npm run bench:verification [-- --quick] [-- --write]
 *
 * Measures how often verification is wrong, and how many outputs it needs, beside other methods. Exits with 1 when a claim
 * does not hold. `--quick`: few incidents, ten seconds, only gross errors show. `--write`: writes docs/verification/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { allClaimsStand, errorFindings, speedFindings } from './findings.ts';
import { INCIDENTS, plan, QUICK_INCIDENTS, quickPlan } from './plan.ts';
import { plotErrors, plotVerdicts } from './plot.ts';
import { claimTable, speedTable, studyPage } from './report.ts';
import { runInThreads, SEED } from './run.ts';

const { quick, write } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
}).values;
if (quick && write) throw new Error('--write needs the whole study: leave out --quick');

const incidents = quick ? QUICK_INCIDENTS : INCIDENTS;
let told = 0;
const results = await runInThreads(quick ? quickPlan() : plan(), incidents, (share) => {
  const tenth = Math.floor(share * 10);
  if (tenth > told) process.stderr.write(`${tenth * 10}% simulated\n`);
  told = Math.max(told, tenth);
});
const errors = errorFindings(results);
const speeds = speedFindings(results);
console.log(`${claimTable(errors)}\n\n${speedTable(speeds)}\n`);

const stand = allClaimsStand([...errors, ...speeds], !quick);
console.log(stand ? 'Every claim stands.' : 'A claim does not hold: see the last column.');
if (!stand) process.exitCode = 1;

if (write) {
  const folder = new URL('../../docs/verification/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const put = (name: string, text: string) => writeFileSync(new URL(name, folder), text);
  put('study.md', studyPage({ incidents, seed: SEED, errors, speeds }));
  put('errors.svg', await plotErrors(errors));
  put('verdicts.svg', await plotVerdicts(results));
  console.log(`Written to ${fileURLToPath(folder)}`);
}
