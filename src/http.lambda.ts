/**
 * Entry point of the HTTP doors. `streamifyResponse` must be outermost: it marks the function it is given, and whatever were
 * wrapped around it would lose the mark.
 */
import { createLambdaDoor, type LambdaRuntime } from './doors/lambda.ts';
import { gateway } from './wire.ts';

declare const awslambda: LambdaRuntime;

export const handler = awslambda.streamifyResponse(createLambdaDoor(awslambda.HttpResponseStream, gateway));
