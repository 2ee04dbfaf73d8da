/**
 * Between the embedded doors and the functions: the doors call handlers of this process, and these hand the events to Lambda.
 */
import type { ResponseStream } from '../../src/local/doors/runtime.ts';
import type { LambdaFunction } from './lambda-function.ts';

/** What a response with metadata before its body calls itself; anything else is no answer to API Gateway, which then says 500. */
export const STREAMED_RESPONSE = 'application/vnd.awslambda.http-integration-response';

type Context = { getRemainingTimeInMillis(): number };

/** The handler of a door for a function that streams. Rejects when the function fails, in mid-answer too. */
export const toStreamingHandler =
  ({ invoke }: LambdaFunction) =>
  async (event: unknown, stream: ResponseStream, context: Context): Promise<void> => {
    const { contentType, body } = await invoke(event, context.getRemainingTimeInMillis());
    for await (const chunk of body) {
      // Nobody tells a function that its reader has left: what it still writes is read, and dropped.
      if (stream.destroyed || contentType !== STREAMED_RESPONSE) continue;
      if (!stream.write(chunk)) await drained(stream);
    }
    stream.end();
  };

/** Resolves when more may be written, or nobody reads any more. */
const drained = (stream: ResponseStream) =>
  new Promise<void>((resolve) => {
    const settle = () => {
      stream.off('drain', settle).off('close', settle);
      resolve();
    };
    stream.on('drain', settle).on('close', settle);
  });

/** The handler of a door for a function whose reply comes in one piece; `Result` is what it promises. */
export const toHandler =
  <Result>({ call }: LambdaFunction, timeoutMs: number) =>
  async (event: unknown): Promise<Result> =>
    (await call(event, timeoutMs)) as Result;
