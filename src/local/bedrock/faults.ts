/**
 * What can go wrong at Bedrock, on request: one table from a fault's name to how it spoils a reply, each with its row
 * of the fault matrix (F1-F20). Asked for with the model id `simulator.<name>` or the header `x-simulator-fault`.
 * F17 (no connection, DNS, TLS) and F20 (Lambda's own time limit) happen outside of a server, so none is here.
 */
import { crc32 } from 'node:zlib';
import {
  afterMessageStop,
  change,
  endMidStream,
  type Fault,
  insertMidStream,
  refuse,
  refuseWhen,
  replace,
  stopWith,
  throwMidStream,
} from './fault-kinds.ts';
import { encodeFrame, event, FOREVER_MS, modelErrors, type Payload, type Step } from './replies.ts';
import type { ConverseRequest } from './request-shape.ts';

// The service's own words where they are known; the account number in DENIED is one of AWS's examples.
const TOO_MANY = 'Too many requests, please wait before trying again.';
const UNEXPECTED = 'The system encountered an unexpected error during processing. Try your request again.';
const UNAVAILABLE = 'Bedrock is unable to process your request.';
const TIMED_OUT = 'Model has timed out in processing the request. Try your request again.';
const NOT_READY = 'The model is not ready to serve inference requests. Try your request again.';
const TOO_LONG = 'Input is too long for requested model.';
const NO_CACHING =
  'You invoked an unsupported model or your request did not allow prompt caching. ' +
  'See the documentation for more information.';
const notSupported = (field: string) =>
  `This model doesn't support the ${field} field. Remove ${field} and try again.`;
const EXPIRED = 'The security token included in the request is expired';
const DENIED =
  'User: arn:aws:sts::123456789012:assumed-role/GatewayRole/gateway is not authorized to perform: ' +
  'bedrock:InvokeModelWithResponseStream on resource: arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0';

const STALL: Step = { kind: 'wait', ms: FOREVER_MS };
const RESET: Step = { kind: 'reset' };
const HANG_UP: Step = { kind: 'hang-up' };
const raw = (bytes: Uint8Array): Step => ({ kind: 'bytes', bytes });
const exception = (type: string, message: string): Step => ({
  kind: 'exception',
  type,
  payload: { message },
});
const delta = (payload: Payload | string) => encodeFrame('event', 'contentBlockDelta', payload);

/**
 * Every fault by name. "Mid-stream" means after `messageStart` and three text deltas; stalls last until the client
 * leaves. See `Fault` for what the fields say.
 */
export const faults = {
  throttled: refuse('F1', 429, 'ThrottlingException', TOO_MANY),
  'flaky-throttled': refuseWhen(
    'F1',
    'at the first attempt of each request',
    [429, 'ThrottlingException', TOO_MANY],
    ({ isRetry }) => !isRetry(),
  ),
  'throttled-first-event': change('F2', 'throttlingException as the first frame', () => [
    exception('throttlingException', TOO_MANY),
  ]),
  'throttled-mid-stream': throwMidStream('F2', 'throttlingException', TOO_MANY),
  'model-stream-error-mid-stream': throwMidStream('F3', 'modelStreamErrorException', UNEXPECTED, {
    originalStatusCode: 424,
    originalMessage: 'Model produced invalid sequence as part of ToolUse.',
  }),
  'internal-error': refuse('F4', 500, 'InternalServerException', UNEXPECTED),
  'internal-error-mid-stream': throwMidStream('F4', 'internalServerException', UNEXPECTED),
  unavailable: refuse('F5', 503, 'ServiceUnavailableException', UNAVAILABLE),
  'unavailable-mid-stream': throwMidStream('F5', 'serviceUnavailableException', UNAVAILABLE),
  'reset-before-headers': replace('F6', 'connection reset before the status line', [RESET]),
  'reset-mid-stream': endMidStream('F6', 'connection reset', RESET),
  'hang-up-mid-stream': endMidStream('F6', 'connection closed without the last chunk', HANG_UP),
  'end-mid-stream': endMidStream('F7', 'HTTP body ends'),
  'empty-stream': change('F7', 'HTTP 200 without a body', () => []),
  'stall-before-headers': replace('F8', 'silence before the status line', [STALL]),
  'stall-before-first-event': change('F8', 'silence after the headers', () => [{ kind: 'headers' }, STALL]),
  'stall-mid-stream': endMidStream('F9', 'silence', STALL),
  'bad-checksum-mid-stream': insertMidStream('F10', 'frame with a wrong checksum', raw(badChecksum())),
  'cut-frame-mid-stream': endMidStream('F10', 'half a frame', raw(half(delta({ delta: { text: ' cut' } })))),
  'cut-last-frame': afterMessageStop(
    'F10',
    'half a metadata frame',
    raw(half(encodeFrame('event', 'metadata', {}))),
  ),
  'zero-length-frame-mid-stream': insertMidStream('F10', 'frame of length 0', raw(prelude(0))),
  'huge-frame-mid-stream': insertMidStream('F10', 'frame that claims 2 GB', raw(prelude(2 ** 31))),
  'html-body': replace('F10', 'HTTP 200 with a web page', [raw(Buffer.from('<html>It works!</html>\n'))], {
    'content-type': 'text/html',
  }),
  'unknown-event': insertMidStream(
    'F11',
    'event of a type yet unknown',
    event('weatherReport', { degrees: 21 }),
  ),
  'empty-delta-mid-stream': insertMidStream(
    'F12',
    'delta without text',
    event('contentBlockDelta', { contentBlockIndex: 0, delta: {} }),
  ),
  'bad-json-mid-stream': insertMidStream(
    'F12',
    'frame with half a JSON text',
    raw(delta('{"delta":{"text":"')),
  ),
  'model-timeout': refuse('F13', 408, 'ModelTimeoutException', TIMED_OUT),
  'model-timeout-mid-stream': throwMidStream('F13', 'modelTimeoutException', TIMED_OUT),
  'access-denied': refuse('F14', 403, 'AccessDeniedException', DENIED),
  'expired-token': refuse('F14', 403, 'ExpiredTokenException', EXPIRED),
  'input-too-long': refuse('F15', 400, 'ValidationException', TOO_LONG),
  rejected: refuse(
    'F15',
    400,
    'ValidationException',
    modelErrors('messages.0: this content is not supported'),
  ),
  'rejected-mid-stream': throwMidStream(
    'F15',
    'validationException',
    modelErrors('this content is not supported'),
  ),
  'refuses-temperature': refusesField(
    'a temperature',
    modelErrors('`temperature` is deprecated for this model.'),
    ({ inferenceConfig }) => inferenceConfig?.temperature !== undefined,
  ),
  'refuses-top-p': refusesField(
    'a topP',
    modelErrors('`top_p` is deprecated for this model.'),
    ({ inferenceConfig }) => inferenceConfig?.topP !== undefined,
  ),
  'refuses-stop-sequences': refusesField(
    'stopSequences',
    notSupported('stopSequences'),
    ({ inferenceConfig }) => Boolean(inferenceConfig?.stopSequences?.length),
  ),
  'refuses-both': refusesField(
    'a temperature and a topP',
    modelErrors('`temperature` and `top_p` cannot both be specified for this model. Please use only one.'),
    ({ inferenceConfig }) => inferenceConfig?.temperature !== undefined && inferenceConfig.topP !== undefined,
  ),
  'refuses-service-tier': refusesField(
    'a serviceTier',
    'The service tier is not supported for this model.',
    ({ serviceTier }) => serviceTier !== undefined,
  ),
  'refuses-cache-points': refuseWhen(
    'F15',
    'if there is a cachePoint',
    [403, 'AccessDeniedException', NO_CACHING],
    ({ request }) => hasCachePoint(request),
  ),
  'refuses-output-config': refusesField(
    'an output schema',
    notSupported('outputConfig.textFormat'),
    ({ outputConfig }) => outputConfig?.textFormat !== undefined,
  ),
  'refuses-reasoning': refusesField(
    'thinking, reasoningConfig or reasoning_effort',
    notSupported('additionalModelRequestFields.thinking'),
    ({ additionalModelRequestFields: { thinking, reasoningConfig, reasoning_effort } = {} }) =>
      (thinking ?? reasoningConfig ?? reasoning_effort) !== undefined,
  ),
  'model-error': refuse('F16', 424, 'ModelErrorException', UNEXPECTED),
  'model-not-ready': refuse('F16', 429, 'ModelNotReadyException', NOT_READY),
  'stops-at-max-tokens': stopWith('F18', 'max_tokens'),
  'guardrail-intervened': stopWith('F18', 'guardrail_intervened'),
  'content-filtered': stopWith('F18', 'content_filtered'),
  'malformed-tool-use': stopWith('F18', 'malformed_tool_use'),
  'malformed-output': stopWith('F18', 'malformed_model_output'),
  'context-window-exceeded': stopWith('F18', 'model_context_window_exceeded'),
  'no-metadata': afterMessageStop('F19', 'body ends after messageStop, no metadata'),
  'stall-before-metadata': afterMessageStop('F19', 'silence after messageStop, the stream stays open', STALL),
} satisfies Record<string, Fault>;

/** The fault of that name, if there is one. */
export function findFault(name: string): Fault | undefined {
  return Object.entries(faults).find(([known]) => known === name)?.[1];
}

function refusesField(
  field: string,
  message: string,
  isThere: (request: Partial<ConverseRequest>) => boolean,
) {
  const refused = [400, 'ValidationException', message] as const;
  return refuseWhen('F15', `if there is ${field}`, refused, ({ request }) => isThere(request));
}

function hasCachePoint({ messages = [], system = [], toolConfig }: Partial<ConverseRequest>): boolean {
  const blocks = [...(toolConfig?.tools ?? []), ...system, ...messages.flatMap(({ content }) => content)];
  return blocks.some(({ cachePoint }) => cachePoint);
}

function badChecksum(): Buffer {
  const frame = delta({ contentBlockIndex: 0, delta: { text: ' broken' } });
  const last = frame.length - 1;
  frame.writeUInt8(frame.readUInt8(last) ^ 0xff, last);
  return frame;
}

function half(frame: Buffer): Buffer {
  return frame.subarray(0, frame.length / 2);
}

/** How a frame of this length begins; the checksum of these bytes is right, only the length is a lie. */
function prelude(totalLength: number): Buffer {
  const start = Buffer.alloc(12);
  start.writeUInt32BE(totalLength, 0);
  start.writeUInt32BE(crc32(start.subarray(0, 8)), 8);
  return start;
}
