/**
 * Names in the environment that were meant to be variables of the deployment. Most of what is there belongs to others, so only a
 * slip of the fingers is refused; a name that merely begins like ours is worth a warning.
 */
import type { Problem } from '../../src/chat/settings.ts';
import { variables } from './variables.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const own = variables.map(({ name }) => name);

/** A variable that only one product could mean, and that decides over who gets in. */
const REFUSED_PREFIX = 'API_GATEWAY_USE_';

/** Also what pipelines call things of their own, such as ECR_REGISTRY. */
const FAMILIES = ['API_GATEWAY_', 'ECR_', 'OPENSEARCH_', 'VPC_'];

export function findMisspellings(env: Environment): Problem[] {
  return foreignNames(env).flatMap((name) => {
    const meant = findMeant(name);
    if (meant) {
      return [{ name, sentence: `${name} is not a variable of this deployment; did you mean ${meant}?` }];
    }
    if (!name.startsWith(REFUSED_PREFIX)) return [];
    return [
      {
        name,
        sentence: `${name} is not a variable of this deployment; there are ${family(REFUSED_PREFIX)}.`,
      },
    ];
  });
}

/** Warnings, as sentences. */
export function findStrangers(env: Environment): string[] {
  return foreignNames(env).flatMap((name) => {
    const prefix = FAMILIES.find((each) => name.startsWith(each));
    if (!prefix) return [];
    return [`${name} is not a variable of this deployment and does nothing; there are ${family(prefix)}.`];
  });
}

const foreignNames = (env: Environment) =>
  Object.keys(env).filter((name) => !own.includes(name) && env[name]?.trim());

const family = (prefix: string) => own.filter((name) => name.startsWith(prefix)).join(', ');

/** The variable that a name is nearest to, if it is near enough. */
const findMeant = (name: string): string | undefined =>
  [0, 1, 2]
    .flatMap((edits) =>
      own.filter((each) => edits <= slips(each) && isWithin(edits, squash(name), squash(each))),
    )
    .concat(own.filter((each) => isContinued(name, each)))
    .at(0);

/** Case and underscores do not tell names apart: API_GATEWAY_USE_APIKEY. */
const squash = (name: string) => name.toUpperCase().replaceAll('_', '');

/** How many slips a name may have to be recognised. Near a short name, such as STAGE, there are others with a right of their own. */
function slips(name: string): number {
  const { length } = squash(name);
  return length < 8 ? -1 : length < 12 ? 1 : 2;
}

/** DEFAULT_TEMPERATURE, ENABLE_WAFV2: the last word goes on. */
const isContinued = (name: string, each: string) =>
  slips(each) > 0 && name.startsWith(each) && /^[A-Z0-9]{1,8}$/.test(name.slice(each.length));

/** Whether so many slips make one text the other: a letter too many, too few, a wrong one, or two changed about. */
function isWithin(edits: number, a: string, b: string): boolean {
  if (a === b) return true;
  if (edits === 0 || Math.abs(a.length - b.length) > edits) return false;
  let at = 0;
  while (a[at] === b[at]) at += 1;
  const [restA, restB] = [a.slice(at), b.slice(at)];
  return (
    isWithin(edits - 1, restA.slice(1), restB) ||
    isWithin(edits - 1, restA, restB.slice(1)) ||
    isWithin(edits - 1, restA.slice(1), restB.slice(1)) ||
    (restA[0] === restB[1] && restA[1] === restB[0] && isWithin(edits - 1, restA.slice(2), restB.slice(2)))
  );
}
