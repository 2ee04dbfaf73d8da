/**
 * How the gateway behaves: the values an operator may tune. Their defaults stand here.
 */

export type Settings = {
  readonly defaultModel: string;
  /** Model ids; `*` stands for any run of characters. */
  readonly allowedModels: readonly string[];
  readonly defaultMaxTokens: number;
  readonly maxTokensLimit: number;
  /** 0..1; sent when the caller names neither a temperature nor a top_p. */
  readonly defaultTemperature: number;
  readonly firstEventTimeoutSeconds: number;
  readonly idleTimeoutSeconds: number;
  readonly bodyLimitBytes: number;
};

export const defaultSettings: Settings = {
  defaultModel: 'global.amazon.nova-2-lite-v1:0',
  allowedModels: [
    'global.amazon.nova-2-lite-v1:0',
    'global.anthropic.claude-sonnet-4-6',
    'global.anthropic.claude-haiku-4-5-20251001-v1:0',
    'openai.gpt-oss-120b-1:0',
  ],
  defaultMaxTokens: 4096,
  maxTokensLimit: 32_768,
  defaultTemperature: 0,
  firstEventTimeoutSeconds: 60,
  idleTimeoutSeconds: 30,
  bodyLimitBytes: 5 * 1024 * 1024,
};

/** Whether `model` is on the list. A `*` in the list matches any run of characters, also none. */
export function isAllowed(model: string, allowedModels: readonly string[]): boolean {
  return allowedModels.some((pattern) => matches(model, pattern.split('*')));
}

// Not a regular expression: the pattern is an operator's and the id a caller's, and together they could backtrack for ever.
function matches(model: string, [head = '', ...rest]: readonly string[]): boolean {
  const tail = rest.pop();
  if (tail === undefined) return model === head;
  if (!model.startsWith(head)) return false;
  let from = head.length;
  for (const part of rest) {
    const at = model.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return model.length - from >= tail.length && model.endsWith(tail);
}
