/**
 * Who is calling, as AWS tells it. Nothing a caller can write is read here.
 */
import type { Caller } from '../chat/request.ts';
import { type HttpEvent, isFunctionUrlEvent } from './lambda-event.ts';

/** Nobody, when API Gateway or the Function URL vouches for nobody. */
export function toCaller(event: HttpEvent): Caller | undefined {
  if (isFunctionUrlEvent(event)) {
    const userArn = event.requestContext.authorizer?.iam?.userArn;
    return userArn ? { tenant: toPrincipal(userArn), kind: 'iam', door: 'function-url' } : undefined;
  }
  const { identity } = event.requestContext;
  if (identity?.apiKeyId) return { tenant: identity.apiKeyId, kind: 'api-key', door: 'rest' };
  if (identity?.userArn) return { tenant: toPrincipal(identity.userArn), kind: 'iam', door: 'rest' };
  return undefined;
}

/** `arn:aws:sts::123456789012:assumed-role/Name/session` without the session: a role is one caller, whoever assumes it. */
const toPrincipal = (arn: string) => arn.replace(/(:assumed-role\/[^/]+)\/.*$/, '$1');
