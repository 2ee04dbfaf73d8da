/**
 * The Function URL: for whoever signs, and nobody else. It leads to the same function as the REST API.
 */
import { Duration } from 'aws-cdk-lib';
import { ArnPrincipal } from 'aws-cdk-lib/aws-iam';
import { type FunctionUrl, FunctionUrlAuthType, HttpMethod, InvokeMode } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { EXPOSED_HEADERS } from '../src/names.ts';
import type { Config } from './config.ts';
import type { Functions } from './functions.ts';

/** What a browser that signs sends along. */
const SIGNED_HEADERS = [
  'authorization',
  'content-type',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
];

export class FunctionUrlDoor extends Construct {
  readonly url: FunctionUrl;

  constructor(scope: Construct, id: string, { iamCallers, allowedOrigins }: Config, { http }: Functions) {
    super(scope, id);
    this.url = http.addFunctionUrl({
      authType: FunctionUrlAuthType.AWS_IAM,
      invokeMode: InvokeMode.RESPONSE_STREAM,
      ...(allowedOrigins.length > 0 && {
        cors: {
          allowedOrigins: [...allowedOrigins],
          allowedMethods: [HttpMethod.GET, HttpMethod.POST, HttpMethod.DELETE],
          allowedHeaders: SIGNED_HEADERS,
          exposedHeaders: EXPOSED_HEADERS,
          maxAge: Duration.minutes(10),
        },
      }),
    });
    for (const arn of iamCallers) this.url.grantInvokeUrl(new ArnPrincipal(arn));
  }
}
