/** Sent to the supervisor process over its IPC channel. */
export type SupervisorCommand =
  | { type: 'run'; id: number; name: string; executable: string; args: string[]; logFile: string }
  | { type: 'stop'; id: number; signal: NodeJS.Signals; graceMs: number };

/** Sent by the supervisor process. */
export type SupervisorEvent =
  | { type: 'started'; id: number; pid: number }
  | { type: 'failed'; id: number; message: string }
  | { type: 'exited'; id: number; code: number | null; signal: NodeJS.Signals | null };
