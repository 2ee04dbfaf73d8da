/**
 * How the gateway behaves: the values an operator may tune while it runs, read from texts that anybody may have written.
 */
import { isOffered, type ModelRules, resolveModel } from './models.ts';
import { lore } from './quirks.ts';
import { modelPatterns } from './setting-kinds.ts';
import { type Setting, shippedModels, table } from './setting-table.ts';

type Table = typeof table;

export type Settings = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer T> ? T : never;
} & ModelRules;

export const settingsTable: readonly Setting[] = Object.values(table);

/** What a deployment says, as texts; settings go before it, but `allowedModels` stays the ceiling. */
export type Deployed = {
  readonly defaultModel?: string | undefined;
  readonly allowedModels?: string | undefined;
};

/** One thing that is wrong, as a sentence that begins with the setting's name. */
export type Problem = { readonly name: string; readonly sentence: string };

export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ sentence }) => sentence).join('\n'));
    this.problems = problems;
  }
}

/**
 * The settings that these texts make, with defaults for those that are absent. Names that no setting has are passed over: a newer
 * version may have set them.
 *
 * @param texts setting name → value
 * @throws `SettingsError` with every problem there is
 */
export function parseSettings(texts: ReadonlyMap<string, string>, deployed: Deployed = {}): Settings {
  const deployedTexts = new Map([
    [table.defaultModel.name, deployed.defaultModel],
    [table.allowedModels.name, deployed.allowedModels],
  ]);
  const problems: Problem[] = [];
  const values = Object.entries(table).map(([key, setting]) => {
    const value = texts.get(setting.name) ?? deployedTexts.get(setting.name) ?? setting.default;
    return [key, value === undefined ? undefined : parseSetting(setting, value, problems)];
  });
  const modelCeiling = modelPatterns.parse(deployed.allowedModels ?? shippedModels) ?? [];
  // The table says what each key holds, and nothing is handed out before every one of them was read without a problem.
  const settings = { ...Object.fromEntries(values), modelCeiling } as Settings;
  if (problems.length === 0) problems.push(...findConflicts(settings));
  if (problems.length > 0) throw new SettingsError(problems);
  return { ...settings, modelQuirks: [...settings.modelQuirks, ...lore] };
}

function parseSetting(setting: Setting, value: string, problems: Problem[]): unknown {
  const { name, kind } = setting;
  const parsed = kind.parse(value.trim());
  if (parsed === undefined) problems.push({ name, sentence: `${name} must be ${kind.allowed}.` });
  return parsed;
}

function findConflicts(settings: Settings): Problem[] {
  const problems: Problem[] = [];
  const { defaultModel, guardrailId, guardrailVersion } = settings;
  if (!isOffered(resolveModel(defaultModel, settings), settings)) {
    const sentence =
      'default-model must be one of the models that allowed-models and the deployment’s ALLOWED_MODELS let through.';
    problems.push({ name: 'default-model', sentence });
  }
  if ((guardrailId === undefined) !== (guardrailVersion === undefined)) {
    const name = guardrailId === undefined ? 'guardrail-id' : 'guardrail-version';
    problems.push({ name, sentence: 'guardrail-id and guardrail-version must be set together.' });
  }
  return problems;
}
