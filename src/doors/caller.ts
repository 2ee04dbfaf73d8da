/**
 * Who is calling, as API Gateway tells it. Nothing a caller can write is read here.
 */
import type { APIGatewayProxyEvent } from 'aws-lambda';
import type { Caller } from '../chat/request.ts';

/** The caller of a REST request, or nothing when API Gateway vouches for nobody. */
export function toRestCaller({ identity }: APIGatewayProxyEvent['requestContext']): Caller | undefined {
  if (identity?.apiKeyId) return { tenant: identity.apiKeyId, kind: 'api-key', door: 'rest' };
  if (identity?.userArn) return { tenant: toPrincipal(identity.userArn), kind: 'iam', door: 'rest' };
  return undefined;
}

/** `arn:aws:sts::123456789012:assumed-role/Name/session` without the session: a role is one caller, whoever assumes it. */
const toPrincipal = (arn: string) => arn.replace(/(:assumed-role\/[^/]+)\/.*$/, '$1');
