/**
 * SSM Parameter Store as the gateway reads it.
 */
import { SSMProvider } from '@aws-lambda-powertools/parameters/ssm';
import type { Parameter, SSMClient } from '@aws-sdk/client-ssm';
import type { ReadParameters } from './parameters.ts';

/**
 * Reads the parameters below `path`, at most 10 to a page.
 * @see https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
 */
export function createParameterReader(client: SSMClient, path: string): ReadParameters {
  // Powertools hands out values only; when they were changed passes by here.
  let dates: number[] = [];
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { Parameters = [] } = result.output as { Parameters?: Parameter[] };
      dates.push(...Parameters.map(({ LastModifiedDate }) => LastModifiedDate?.getTime() ?? 0));
      return result;
    },
    { step: 'initialize' },
  );
  const provider = new SSMProvider({ awsSdkV3Client: client });
  return async () => {
    dates = [];
    const values = (await provider.getMultiple(path, { forceFetch: true })) ?? {};
    return { texts: new Map(Object.entries(values)), changedAt: Math.max(0, ...dates) };
  };
}
