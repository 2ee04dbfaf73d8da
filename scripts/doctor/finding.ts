/**
 * What one check of the doctor found, and how a check asks AWS without ever hanging.
 */

/** `problem`: what is deployed would not work. `warning`: it may well, but somebody should know. */
export type Result = 'ok' | 'warning' | 'problem';

/** `sentence` is ours: of a foreign error it has the name and nothing else. */
export type Finding = { readonly check: string; readonly result: Result; readonly sentence: string };

const found =
  (result: Result) =>
  (check: string, sentence: string): Finding => ({ check, result, sentence });

export const ok = found('ok');
export const warning = found('warning');
export const problem = found('problem');

/** Where the doctor looks, and how many milliseconds each question to AWS may take, retries and all. */
export type Place = { readonly region: string; readonly limitMs: number };

/** The question was not answered in time. */
class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}

/**
 * Also ends a question that does not heed its signal: credentials may come from a program that never returns.
 * @throws TimeLimitError when there is no answer within the limit
 */
export async function ask<T>(
  { limitMs }: Place,
  question: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { promise: limit, reject } = Promise.withResolvers<never>();
  const controller = new AbortController();
  const timer = setTimeout(() => {
    reject(new TimeLimitError());
    controller.abort();
  }, limitMs);
  try {
    return await Promise.race([question(controller.signal), limit]);
  } finally {
    clearTimeout(timer);
  }
}

export const isLate = (error: unknown): boolean => error instanceof TimeLimitError;

/** A host without an address: a region that is not there, a service that is not in it, or no network. */
export const hasNoAddress = (error: unknown): boolean => codeOf(error) === 'ENOTFOUND';

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

/** The name that an error goes by: AWS's own, or Node's code. */
export const nameOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'no error';
  return error.name === 'Error' ? String(codeOf(error) ?? error.name) : error.name;
};

/** What keeps a check from looking says nothing of the deployment, which works under roles of its own. */
export function notSeen(check: string, action: string, error: unknown): Finding {
  if (isLate(error)) return warning(check, `This was not checked: AWS did not answer ${action} in time.`);
  const name = nameOf(error);
  if (name.startsWith('AccessDenied'))
    return warning(check, `This was not checked: your principal may not ${action}.`);
  return warning(check, `This was not checked: AWS refused ${action} (${name}).`);
}
