/**
 * An embedded AWS Systems Manager Parameter Store for the laptop and for tests: AWS JSON 1.1 and the operations on parameters. It checks no
 * signature and encrypts nothing. A field that it does not know is refused, so that nobody trusts in what has no effect.
 *
 * @see https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html
 */
import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Version } from './file.ts';
import { createParameters, draft, invalid, type Parameters, plainName, SsmException } from './parameters.ts';

const MAX_BODY_CHARS = 1024 * 1024;

export type ParameterStoreOptions = {
  /** The JSON file that keeps the parameters; nothing is kept without one. */
  readonly path?: string;
  /** Milliseconds since the epoch. @defaultValue Date.now */
  readonly now?: () => number;
};

/**
 * `handle` is for POST / with `X-Amz-Target: AmazonSSM.<operation>`. Of two stores on one file, the one that writes last wins: open one only.
 *
 * @throws `Error` with a sentence for whoever starts the gateway when the file does not hold parameters
 */
export function createParameterStore({ path, now = Date.now }: ParameterStoreOptions = {}) {
  const parameters = createParameters(path);

  /** Never rejects. */
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const run = findOperation(request);
      send(response, 200, run(await readJson(request), parameters, now()));
    } catch (error) {
      if (error instanceof SsmException) {
        return send(response, 400, { __type: error.name, message: error.message });
      }
      const message = `The embedded Parameter Store failed: ${error}`;
      send(response, 500, { __type: 'InternalServerError', message });
    }
  }

  return { handle };
}

/** Without an await, so that requests that come together change the parameters one after the other. */
type Operation = (input: unknown, store: Parameters, nowMs: number) => object;

function operation<Shape extends z.ZodRawShape>(
  shape: Shape,
  run: (request: z.infer<z.ZodObject<Shape>>, store: Parameters, nowMs: number) => object,
): Operation {
  const schema = z.strictObject(shape);
  return (input, store, nowMs) => {
    const { success, data, error } = schema.safeParse(input);
    if (success) return run(data, store, nowMs);
    // Zod's messages leave out the values, which may be secret.
    throw invalid(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  };
}

const Reference = z.string().regex(/^([\w.-]+|(\/[\w.-]+)+)(:[\w.-]+)?$/);
const Path = z.string().regex(/^\/$|^(\/[\w.-]+)+\/?$/);
const flag = z.boolean().default(false);
const list = <Item extends z.ZodType<string>>(item: Item, max: number) => z.array(item).min(1).max(max);
const paging = (max: number, size = max) => ({
  MaxResults: z.int().min(1).max(max).default(size),
  NextToken: z.string().optional(),
});
const nameOption = z.enum(['Equals', 'BeginsWith', 'Contains']).default('Equals');
const pathOption = z.enum(['OneLevel', 'Recursive']).default('OneLevel');
const filter = z.discriminatedUnion('Key', [
  z.strictObject({ Key: z.literal('Name'), Option: nameOption, Values: list(z.string(), 50) }),
  z.strictObject({ Key: z.literal('Path'), Option: pathOption, Values: list(Path, 50) }),
]);
const filters = z.array(filter).default([]);

const operations: Readonly<Record<string, Operation>> = {
  PutParameter: operation(draft, (request, store, nowMs) => {
    const { number, tier } = store.put(request, nowMs);
    return { Version: number, Tier: tier };
  }),
  GetParameter: operation({ Name: Reference, WithDecryption: flag }, (request, store) => ({
    Parameter: toView(request)(store.require(request.Name)),
  })),
  GetParameters: operation({ Names: list(Reference, 10), WithDecryption: flag }, (request, store) => ({
    Parameters: request.Names.flatMap((name) => store.find(name) ?? []).map(toView(request)),
    InvalidParameters: request.Names.filter((name) => !store.find(name)),
  })),
  GetParametersByPath: operation(
    { Path, Recursive: flag, WithDecryption: flag, ...paging(10) },
    (request, store) => {
      const Option = request.Recursive ? 'Recursive' : 'OneLevel';
      const { page, NextToken } = store.search([{ Option, Values: [request.Path] }], request);
      return { Parameters: page.map(toView(request)), NextToken };
    },
  ),
  DescribeParameters: operation({ ParameterFilters: filters, ...paging(50, 10) }, (request, store) => {
    const { page, NextToken } = store.search(request.ParameterFilters, request);
    return { Parameters: page.map(toMetadata), NextToken };
  }),
  GetParameterHistory: operation(
    { Name: plainName, WithDecryption: flag, ...paging(50) },
    (request, store) => {
      const { page, NextToken } = store.history(store.require(request.Name).name, request);
      return { Parameters: page.map(toView(request)), NextToken };
    },
  ),
  DeleteParameter: operation({ Name: plainName }, ({ Name }, store) => {
    store.remove([store.require(Name).name]);
    return {};
  }),
  DeleteParameters: operation({ Names: list(plainName, 10) }, ({ Names }, store) => {
    const found = Names.filter((name) => store.find(name));
    store.remove(found);
    return { DeletedParameters: found, InvalidParameters: Names.filter((name) => !found.includes(name)) };
  }),
};

/** @throws SsmException UnknownOperationException */
function findOperation({ method, url, headers }: IncomingMessage): Operation {
  const [, name = ''] = /^AmazonSSM\.(\w+)$/.exec(String(headers['x-amz-target'])) ?? [];
  const found = Object.hasOwn(operations, name) ? operations[name] : undefined;
  if (found && method === 'POST' && url === '/') return found;
  throw new SsmException('UnknownOperationException', 'There is no such operation.');
}

/** The region and the account are made up: the laptop has one of each. */
const toMetadata = ({ name, number, type, tier, changedAtMs }: Version) => ({
  Name: name,
  ARN: `arn:aws:ssm:us-east-1:000000000000:parameter${name.replace(/^\/?/, '/')}`,
  Type: type,
  Version: number,
  Tier: tier,
  DataType: 'text',
  LastModifiedDate: changedAtMs / 1000,
});

/** In place of a ciphertext comes a digest: whoever forgets to decrypt must not get the value by luck. */
function toView({ WithDecryption }: { readonly WithDecryption: boolean }) {
  const digest = (value: string) => `AQICAH${createHash('sha256').update(value).digest('base64')}`;
  return (version: Version) => {
    const isPlain = version.type !== 'SecureString' || WithDecryption;
    return { ...toMetadata(version), Value: isPlain ? version.value : digest(version.value) };
  };
}

/** @throws SsmException ValidationException, SerializationException; Node drops the rest of the body, so that the answer arrives */
async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MAX_BODY_CHARS) throw invalid('A request must be at most 1 MB.');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new SsmException('SerializationException', 'The request is not JSON.');
  }
}

function send(response: ServerResponse, status: number, answer: object): void {
  response.setHeader('x-amzn-requestid', randomUUID());
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer));
}
