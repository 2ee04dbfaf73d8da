/**
 * The two events by which HTTP reaches a function: API Gateway's REST format (1.0) and a Function URL's (2.0).
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
 * @see https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
 */
import type { APIGatewayProxyEvent, LambdaFunctionURLEventWithIAMAuthorizer } from 'aws-lambda';
import { GatewayError } from '../chat/errors.ts';

export type RestEvent = APIGatewayProxyEvent;
export type FunctionUrlEvent = LambdaFunctionURLEventWithIAMAuthorizer;
export type HttpEvent = RestEvent | FunctionUrlEvent;

export const isFunctionUrlEvent = (event: HttpEvent): event is FunctionUrlEvent => 'rawPath' in event;

export const doorOf = (event: HttpEvent) => (isFunctionUrlEvent(event) ? 'function-url' : 'rest');

export const methodOf = (event: HttpEvent): string =>
  isFunctionUrlEvent(event) ? event.requestContext.http.method : event.httpMethod;

/**
 * The event as a standard request.
 *
 * @throws `method_not_allowed` for TRACE, CONNECT and what no `Request` can carry
 */
export function toRequest(event: HttpEvent): Request {
  const { body, isBase64Encoded } = event;
  const method = methodOf(event);
  const hasBody = body != null && method !== 'GET' && method !== 'HEAD';
  try {
    return new Request(toUrl(event), {
      method,
      headers: toHeaders(event),
      ...(hasBody && { body: toStream(body, isBase64Encoded ? 'base64' : 'utf8'), duplex: 'half' }),
    });
  } catch (cause) {
    throw new GatewayError('method_not_allowed', 'This method is not taken here.', { cause });
  }
}

/** Decodes the body when it is read, and not before: whoever is refused earlier costs nothing more. */
const toStream = (body: string, encoding: 'base64' | 'utf8') =>
  new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(Buffer.from(body, encoding));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );

/** Only path and query are ever read; the host is what the caller wrote, and might not even be one. */
function toUrl(event: HttpEvent): URL {
  const url = new URL('https://gateway.invalid');
  if (isFunctionUrlEvent(event)) {
    url.pathname = event.rawPath;
    url.search = event.rawQueryString;
    return url;
  }
  url.pathname = event.path;
  for (const [name, values = []] of Object.entries(event.multiValueQueryStringParameters ?? {})) {
    for (const value of values) url.searchParams.append(name, value);
  }
  return url;
}

function toHeaders(event: HttpEvent): Headers {
  const headers = new Headers();
  const lists: [string, string[] | undefined][] = isFunctionUrlEvent(event)
    ? Object.entries(event.headers).map(([name, value]) => [name, value === undefined ? [] : [value]])
    : Object.entries(event.multiValueHeaders ?? {});
  for (const [name, values = []] of lists) {
    for (const value of values) {
      // A value that HTTP does not allow is one that no route could want.
      if (isHeaderValue(value)) headers.append(name, value);
    }
  }
  return headers;
}

const isHeaderValue = (value: string) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
