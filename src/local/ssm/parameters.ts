/** The parameters of the embedded Parameter Store: what they may be named and hold, their versions, and how they are found. */
import { z } from 'zod';
import { loadVersions, parameterTier, parameterType, saveVersions, type Version } from './file.ts';

const MAX_VERSIONS = 100;
const MAX_VALUE_BYTES = { Standard: 4096, Advanced: 8192 } as const satisfies Record<Version['tier'], number>;

/** A failure that Parameter Store has a name for. */
export class SsmException extends Error {
  override readonly name: string;

  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** The failure of a request that breaks a rule which has no name of its own. */
export const invalid = (message: string) => new SsmException('ValidationException', message);

export const plainName = z.string().regex(/^([\w.-]+|(\/[\w.-]+)+)$/);

/**
 * What PutParameter is told; what it is not told stays as it was.
 *
 * @see https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
 */
export const draft = {
  Name: plainName
    .max(967, 'must be at most 1011 characters with the rest of its ARN')
    .regex(/^(?!\/?(aws|ssm))/i, 'must not begin with "aws" or "ssm"')
    .regex(/^\/?[^/]*(\/[^/]*){0,14}$/, 'must be at most 15 levels deep'),
  Value: z.string().min(1),
  Type: parameterType.optional(),
  Tier: parameterTier.optional(),
  Overwrite: z.boolean().default(false),
};

type Draft = z.infer<z.ZodObject<typeof draft>>;
/** Fits the names that fit one of the values. */
type Filter = { readonly Option: keyof typeof fits; readonly Values: readonly string[] };
type Paging = { readonly MaxResults: number; readonly NextToken?: string | undefined };
export type Parameters = ReturnType<typeof createParameters>;

/**
 * Keeps nothing without a path. A change is on disk before it is seen.
 *
 * @throws `Error` when the file does not hold parameters
 */
export function createParameters(path: string | undefined) {
  /** Those of one name are in the order of their numbers. */
  let all = path === undefined ? [] : loadVersions(path);

  const versionsOf = (wanted: string) => all.filter(({ name }) => name === wanted);

  function keep(versions: readonly Version[]): void {
    if (path !== undefined) saveVersions(path, versions);
    all = versions;
  }

  /** @throws SsmException of the first rule that the draft breaks */
  function put(draft: Draft, changedAtMs: number): Version {
    const { Name: name, Value: value } = draft;
    const before = find(name);
    if (before && !draft.Overwrite) {
      throw new SsmException('ParameterAlreadyExists', 'The parameter already exists; Overwrite is not set.');
    }
    const type = draft.Type ?? before?.type;
    const tier = draft.Tier ?? before?.tier ?? 'Standard';
    if (!type) throw invalid('A parameter type is required when you create a parameter.');
    requireFitting(value, MAX_VALUE_BYTES[tier]);
    const number = (before?.number ?? 0) + 1;
    const version = { name, number, value, type, tier, changedAtMs };
    const isTooOld = (old: Version) => old.name === name && old.number <= number - MAX_VERSIONS;
    keep([...all.filter((old) => !isTooOld(old)), version]);
    return version;
  }

  /** The version of `name:number`, the latest of `name`. */
  function find(reference: string): Version | undefined {
    const [name = '', number] = reference.split(':');
    return versionsOf(name).findLast((version) => number === undefined || String(version.number) === number);
  }

  /** @throws SsmException ParameterNotFound, ParameterVersionNotFound */
  function require(reference: string): Version {
    const found = find(reference);
    if (found) return found;
    const problem = find(reference.replace(/:.*/, '')) ? 'ParameterVersionNotFound' : 'ParameterNotFound';
    throw new SsmException(problem, `Parameter ${reference} not found.`);
  }

  /** The latest versions of the parameters that fit all filters, in the order of their names. */
  function search(filters: readonly Filter[], paging: Paging) {
    const latest = [...new Map(all.map((version) => [version.name, version])).values()];
    const isWanted = ({ name }: Version) =>
      filters.every(({ Option, Values }) => Values.some((value) => fits[Option](name, value)));
    const found = latest.filter(isWanted).sort((one, other) => (one.name < other.name ? -1 : 1));
    return toPage(found, ({ name }) => name, paging);
  }

  /** All versions, oldest first. */
  const history = (name: string, paging: Paging) =>
    toPage(versionsOf(name), ({ number }) => String(number).padStart(9, '0'), paging);

  const remove = (names: readonly string[]) => keep(all.filter(({ name }) => !names.includes(name)));

  return { put, find, require, search, history, remove };
}

function requireFitting(value: string, maxBytes: number): void {
  if (Buffer.byteLength(value) > maxBytes) throw invalid(`The value must be at most ${maxBytes} bytes.`);
  if (/\{\{.*\}\}/s.test(value)) throw invalid('A value can\'t nest another parameter: "{{}}".');
}

const toFolder = (path: string) => (path.endsWith('/') ? path : `${path}/`);

const fits = {
  Equals: (name: string, value: string) => name === value,
  BeginsWith: (name: string, start: string) => name.startsWith(start),
  Contains: (name: string, part: string) => name.includes(part),
  OneLevel: (name: string, path: string) => name.replace(/[^/]+$/, '') === toFolder(path),
  Recursive: (name: string, path: string) => name.startsWith(toFolder(path)),
};

/** The token is the key of the last one, so that changes between two pages neither skip nor repeat the others. */
function toPage(
  versions: readonly Version[],
  toKey: (version: Version) => string,
  { MaxResults, NextToken = 'after ' }: Paging,
) {
  if (!NextToken.startsWith('after ')) throw new SsmException('InvalidNextToken', "The token isn't valid.");
  const toToken = (version: Version) => `after ${toKey(version)}`;
  const left = versions.filter((version) => toToken(version) > NextToken);
  const page = left.slice(0, MaxResults);
  const last = left.length > MaxResults ? page.at(-1) : undefined;
  return { page, NextToken: last && toToken(last) };
}
