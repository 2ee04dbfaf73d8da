/**
 * Whether Lambda has room for what RESERVED_CONCURRENCY and PROVISIONED_CONCURRENCY ask for.
 */
import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { Config } from '../../cdk/config.ts';
import { ask, type Finding, notSeen, ok, type Place, problem, warning } from './finding.ts';

/**
 * What Lambda keeps for functions that reserve nothing; of a quota that is smaller, all of it.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
 * @see https://github.com/aws-samples/one-observability-demo/issues/278 for "below its minimum value of [10]" in a new account
 */
const KEPT_FREE = 100;

/** Concurrent executions of an account in a region: all there are, and those that no function has reserved. */
type Quota = { readonly all: number; readonly unreserved: number };

export async function checkConcurrency(
  config: Config,
  place: Place,
  isDeployed: () => Promise<boolean>,
): Promise<Finding> {
  const client = new LambdaClient({ region: place.region });
  try {
    const { AccountLimit } = await ask(place, (abortSignal) =>
      client.send(new GetAccountSettingsCommand({}), { abortSignal }),
    );
    const { ConcurrentExecutions: all = 0, UnreservedConcurrentExecutions: unreserved = 0 } =
      AccountLimit ?? {};
    return await judgeConcurrency(config, { all, unreserved }, isDeployed);
  } catch (error) {
    return notSeen(CHECK, 'lambda:GetAccountSettings', error);
  } finally {
    client.destroy();
  }
}

const CHECK = 'concurrency';

/** @param isDeployed whether the stack is there already; only asked when it matters */
export async function judgeConcurrency(
  config: Config,
  { all, unreserved }: Quota,
  isDeployed: () => Promise<boolean>,
): Promise<Finding> {
  const taken = takenBy(config);
  const room = Math.max(unreserved - KEPT_FREE, 0);
  const lower = `lower RESERVED_CONCURRENCY or PROVISIONED_CONCURRENCY, or ${raise(config.region)}`;
  if (taken > Math.max(all - KEPT_FREE, 0)) {
    const sentence = `The functions would take ${taken} concurrent executions out of ${all}, and Lambda keeps ${KEPT_FREE} free`;
    return problem(CHECK, `${sentence}; ${lower}.`);
  }
  if (taken > room) {
    const sentence = `The functions would take ${taken} concurrent executions, and ${room} can be had`;
    // What an earlier deployment of this stack took is counted as gone, and would be given back.
    if (!(await isDeployed())) return problem(CHECK, `${sentence}; ${lower}.`);
    return warning(CHECK, `${sentence} beside what this stack has already; should deploying fail, ${lower}.`);
  }
  if (all < KEPT_FREE)
    return warning(
      CHECK,
      `All functions of the account together may run ${all} times at once, as in a new account, and calls beyond that fail; ${raise(config.region)}.`,
    );
  return ok(CHECK, `Up to ${all} executions at once, ${unreserved} of them unreserved.`);
}

/**
 * The functions that answer reserve: `Http`, and with a WebSocket API `Worker`. What is kept warm comes out of what its function
 * reserved, and otherwise out of the account's; the WebSocket's routes reserve nothing. (cdk/functions.ts)
 */
export function takenBy(config: Config): number {
  const { hasWebSocket, reservedConcurrency, provisionedConcurrency: warm } = config;
  const answering = hasWebSocket ? 2 : 1;
  const routes = hasWebSocket ? 1 : 0;
  return answering * (reservedConcurrency ?? warm) + routes * warm;
}

const raise = (region: string) =>
  `run aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000 --region ${region} to ask for more`;
