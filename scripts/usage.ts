/**
 * Mistakes of whoever typed a command: it says which, and ends with exit code 2.
 */
export class UsageError extends Error {}

/** Those that `parseArgs` finds, too. */
export const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
