/**
 * Who is calling, as AWS tells it. Nothing a caller can write is read here.
 */
import type { Caller } from '../chat/request.ts';
import { type HttpEvent, isFunctionUrlEvent } from './lambda-event.ts';

/** What API Gateway says of a caller: the id of the key that was used, the principal that signed. */
type Identity = { readonly apiKeyId?: string | null; readonly userArn?: string | null };

/** Nobody, when API Gateway or the Function URL vouches for nobody. */
export function toCaller(event: HttpEvent): Caller | undefined {
  return isFunctionUrlEvent(event)
    ? identify({ userArn: event.requestContext.authorizer?.iam?.userArn ?? null }, 'function-url')
    : identify(event.requestContext.identity, 'rest');
}

export function identify(identity: Identity | undefined, door: Caller['door']): Caller | undefined {
  if (identity?.apiKeyId) return { tenant: identity.apiKeyId, kind: 'api-key', door };
  if (identity?.userArn) return { tenant: toPrincipal(identity.userArn), kind: 'iam', door };
  return undefined;
}

/** `arn:aws:sts::123456789012:assumed-role/Name/session` without the session: a role is one caller, whoever assumes it. */
const toPrincipal = (arn: string) => arn.replace(/(:assumed-role\/[^/]+)\/.*$/, '$1');
