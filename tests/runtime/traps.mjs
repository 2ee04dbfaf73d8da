/** Functions that do what the gateway must not, for the tests of the stand-in itself. */
export const failInMidAnswer = awslambda.streamifyResponse(async (_, stream) => {
  stream.write('begun');
  throw new RangeError('in mid-answer');
});

export const writeOneByOne = awslambda.streamifyResponse(async ({ parts }, stream) => {
  for (const part of parts) stream.write(part);
  stream.end();
});

export const endWithoutPrelude = awslambda.streamifyResponse(async (_, stream) => {
  awslambda.HttpResponseStream.from(stream, { statusCode: 204 });
  stream.end();
});

export const hang = () => new Promise(() => setInterval(() => {}, 1000));

export const exit = async () => process.exit(3);

export const exitInMidAnswer = awslambda.streamifyResponse(async (_, stream) => {
  stream.write('begun', () => process.exit(3));
  await new Promise(() => {});
});

export const describe = async (event, context) => ({
  event,
  pid: process.pid,
  leftMs: context.getRemainingTimeInMillis(),
  variables: Object.keys(process.env),
});

export const meet = async ({ url }) => (await fetch(url)).text();
