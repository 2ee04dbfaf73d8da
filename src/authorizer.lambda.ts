/**
 * Entry point of the authorizer. It finds the key and hands it to API Gateway, which knows the keys and their usage plans; the
 * gateway itself stores and compares none.
 */
import type { APIGatewayAuthorizerResult, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { findApiKey } from './doors/api-key.ts';

/**
 * Allows a request that brings a key and names the key to API Gateway; whether it is a good one is decided there.
 *
 * @throws `Unauthorized`, the one word that API Gateway turns into a 401
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
 */
export async function handler(event: APIGatewayRequestAuthorizerEvent): Promise<APIGatewayAuthorizerResult> {
  const key = findApiKey(event.headers ?? {});
  if (!key) throw new Error('Unauthorized');
  return {
    principalId: 'api-key',
    usageIdentifierKey: key,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'execute-api:Invoke', Resource: event.methodArn }],
    },
  };
}
