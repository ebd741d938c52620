/** The runbooks of this process, and what the log tells of them. */
import type { Logger } from 'pino';
import type { RunbookEvent } from '../runbooks/live.ts';
import type { RunbookChange, RunbookSet } from '../runbooks/live-set.ts';
import type { Problem } from '../runbooks/problem.ts';
import { type RunbookWatch, watchRunbooks } from '../runbooks/watch.ts';
import { installationOf } from './config/installation.ts';
import type { FirebreakConfig } from './config/schema.ts';

/** A line of the log is read by people; `firebreak runbook validate` tells the rest. */
const LOGGED_PROBLEMS = 20;

/**
 * Loads the configured runbooks and, where the configuration says so, follows their files.
 * @param parts.takesAlerts the edge starts incidents with them, so it does not start without. A worker of a cluster needs
 * them to believe a runbook's own approval only, and people are asked where one is missing; nor do the roles and groups that
 * they name have to be in its configuration.
 * @throws RunbooksRefused with every problem.
 */
export function openRunbooks(
  config: FirebreakConfig,
  parts: {
    takesAlerts: boolean;
    configFile: string;
    logger: Logger;
    settleMs?: number;
    /** The access section as it is now; absent: as configured. */
    access?: () => FirebreakConfig['access'];
  },
): Promise<RunbookWatch> {
  const { paths, inputs, reload, watchEvery } = config.runbooks;
  const { takesAlerts, configFile, logger, settleMs, access = () => config.access } = parts;
  return watchRunbooks({
    paths,
    load: {
      inputs,
      configFile,
      // Asked at each load: runbooks that change are checked against the people of that moment.
      get installation() {
        return takesAlerts ? installationOf({ ...config, access: access() }) : undefined;
      },
    },
    orNone: !takesAlerts,
    settleMs,
    everyMs: reload ? watchEvery : undefined,
    onEvent: (event) => logRunbooks(logger, event),
  });
}

/** One line for each event; the causes of a refusal, and changes under the same version, are for people to act on. */
export function logRunbooks(logger: Logger, event: RunbookEvent): void {
  const { set } = event;
  switch (event.type) {
    case 'loaded': {
      const runbooks = set.runbooks.map(({ name, version }) => `${name} v${version}`);
      logger.info({ ...identity(set), runbooks, ...warned(event.warnings) }, 'runbooks loaded');
      return;
    }
    case 'replaced': {
      const changes = event.changes.map(changeText);
      logger.info({ ...identity(set), changes, ...warned(event.warnings) }, 'runbooks replaced');
      const kept = event.changes.filter(({ versionKept }) => versionKept).map(({ name }) => name);
      if (kept.length > 0) {
        logger.warn(
          { ...identity(set), runbooks: kept },
          'runbooks changed under the same version: raise metadata.version, so that records tell the two apart',
        );
      }
      return;
    }
    case 'unchanged':
      logger.info(identity(set), 'runbook files changed, and mean what is loaded already');
      return;
    case 'refused': {
      const errors = event.problems.filter(({ severity }) => severity === 'error');
      logger.error(
        { ...identity(set), problemCount: errors.length, problems: placesOf(errors) },
        set.runbooks.length > 0
          ? 'changed runbook files cannot be used: the former set goes on answering; mend them, nothing has to be restarted'
          : 'the runbooks cannot be used: none approves by itself here until their files are mended',
      );
    }
  }
}

function identity({ generation, hash }: RunbookSet): { generation: number; hash: string } {
  return { generation, hash };
}

function warned(warnings: readonly Problem[]): { warnings?: string[] } {
  return warnings.length === 0 ? {} : { warnings: placesOf(warnings) };
}

function placesOf(problems: readonly Problem[]): string[] {
  return problems
    .slice(0, LOGGED_PROBLEMS)
    .map(({ file, line, column, message, rule }) => `${file}:${line}:${column} ${message} [${rule}]`);
}

/** `careful-rollback v3 0f3c… -> v4 9b1d…`. */
function changeText({ name, from, to }: RunbookChange): string {
  const text = (of: RunbookChange['from']) => (of === undefined ? 'none' : `v${of.version} ${of.hash}`);
  return `${name} ${text(from)} -> ${text(to)}`;
}
