import type { StackDescription } from '../../demo/stack/stack-description.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Path of the time-skipping Temporal test server. */
    testServer: string;
    /** The shared local stack of the run. */
    stack: StackDescription;
    /** Folder of executables of the stack: promtool, amtool, kubectl. */
    tools: { promtool: string; amtool: string; kubectl: string; temporal: string };
    /** A PostgreSQL server to test against, where one is given. */
    postgresUrl: string | undefined;
  }
}
