import { homedir } from 'node:os';
import { join } from 'node:path';

/** The only place where the command line reads the environment. */
export interface CliEnv {
  /** Everything, for `env:NAME` references of the configuration. */
  all: Readonly<Record<string, string | undefined>>;
  /** FIREBREAK_URL: base URL of the server. */
  url: string | undefined;
  /** FIREBREAK_TOKEN: the person's API token. */
  token: string | undefined;
  /** FIREBREAK_CONFIG: path of the configuration. */
  config: string | undefined;
  /** What can be made again: `$XDG_CACHE_HOME/firebreak`, else `~/.cache/firebreak`. */
  cacheDir: string;
  /** Where the sign-in is kept: `$XDG_CONFIG_HOME/firebreak`, else `~/.config/firebreak`. */
  configDir: string;
  /** Whether block characters may be printed: a UTF-8 locale (POSIX: LC_ALL, LC_CTYPE, LANG), and nobody asked for plain output. */
  unicode: boolean;
  /** Whether output on this stream may be coloured: NO_COLOR and FORCE_COLOR (https://no-color.org), else terminals only. */
  colorOn(stream: { isTTY?: boolean }): boolean;
}

export function readEnv(env: NodeJS.ProcessEnv = process.env): CliEnv {
  return {
    all: env,
    url: nonEmpty(env.FIREBREAK_URL),
    token: nonEmpty(env.FIREBREAK_TOKEN),
    config: nonEmpty(env.FIREBREAK_CONFIG),
    cacheDir: join(nonEmpty(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache'), 'firebreak'),
    configDir: join(nonEmpty(env.XDG_CONFIG_HOME) ?? join(homedir(), '.config'), 'firebreak'),
    unicode:
      /utf-?8/i.test(nonEmpty(env.LC_ALL) ?? nonEmpty(env.LC_CTYPE) ?? nonEmpty(env.LANG) ?? '') &&
      nonEmpty(env.NO_COLOR) === undefined &&
      env.TERM !== 'dumb',
    colorOn: (stream) => {
      if (nonEmpty(env.NO_COLOR) !== undefined) return false;
      if (nonEmpty(env.FORCE_COLOR) !== undefined) return env.FORCE_COLOR !== '0';
      return stream.isTTY === true && env.TERM !== 'dumb';
    },
  };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
