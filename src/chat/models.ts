/**
 * Which models there are: the names callers use, and what an operator and a deployment let through.
 */
import { GatewayError } from './errors.ts';

/** What decides over models; a part of `Settings`. */
export type ModelRules = {
  readonly defaultModel: string;
  /** Patterns. Only what both lists let through is offered: the deployment's permissions end where its own list ends. */
  readonly allowedModels: readonly string[];
  readonly modelCeiling: readonly string[];
  /** Another name → the model it stands for. */
  readonly modelAliases: ReadonlyMap<string, string>;
};

/** The model that a name stands for. An alias of an alias is not followed. */
export const resolveModel = (name: string, { modelAliases }: ModelRules): string =>
  modelAliases.get(name) ?? name;

export const isOffered = (model: string, { allowedModels, modelCeiling }: ModelRules): boolean =>
  [allowedModels, modelCeiling].every((patterns) => patterns.some((pattern) => fits(pattern, model)));

/**
 * The model that a caller's name stands for.
 *
 * @throws `model_not_found` when it is not on offer
 */
export function chooseModel(name: string, rules: ModelRules): string {
  const model = resolveModel(name, rules);
  if (isOffered(model, rules)) return model;
  const message = 'This gateway does not offer that model; GET /v1/models lists those it does.';
  throw new GatewayError('model_not_found', message, { param: 'model' });
}

/** Every name that a caller can ask for and that is known here, the default first: a pattern stands for names that are not. */
export function namesOnOffer(rules: ModelRules): readonly string[] {
  const { defaultModel, allowedModels, modelCeiling, modelAliases } = rules;
  const names = [...allowedModels, ...modelCeiling, ...modelAliases.keys()];
  return [...new Set([defaultModel, ...names])].filter(
    (name) => !name.includes('*') && isOffered(resolveModel(name, rules), rules),
  );
}

/**
 * Whether `model` fits a pattern, in which `*` stands for any run of characters, also none. Not a regular expression: the pattern
 * is an operator's and the id a caller's, and together they could backtrack for ever.
 */
export function fits(pattern: string, model: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
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
