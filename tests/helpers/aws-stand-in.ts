/** A few calls of AWS on one port, answered in AWS's own shapes, and the scripts that make them as commands of their own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** `hang`: the call is taken and never answered. */
export type Reply = { readonly status?: number; readonly body: string } | 'hang';
export type Call = {
  readonly action: string;
  readonly model: string;
  readonly body: string;
  /** The access key and the region that it was signed for. */
  readonly signedBy: string;
};

type Responder = Reply | ((call: Call) => Reply | Promise<Reply>);
export type Replies = Readonly<Record<string, Responder>>;

/** Nothing for a variable takes it away. */
type Variables = Readonly<Record<string, string | undefined>>;

export type StandIn = {
  readonly url: string;
  readonly calls: readonly Call[];
  /** Runs a script in an empty folder, with keys for this AWS. */
  run(script: string, args?: readonly string[], env?: Variables): Promise<Ended>;
  /** The empty folder. */
  readonly folder: string;
};
export type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

const json = (body: object, status = 200): Reply => ({ status, body: JSON.stringify(body) });

/** An error as the JSON services write it. */
export const failure = (status: number, name: string, message: string): Reply =>
  json({ __type: name, message }, status);

/** An error as STS and CloudFormation write it. */
export const xmlFailure = (status: number, code: string, message: string): Reply => ({
  status,
  body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
});

export const identity = (arn: string): Reply => ({
  body: `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>${arn}</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
});

export const stack = (status: string, outputs: Readonly<Record<string, string>> = {}): Reply => {
  const members = Object.entries(outputs).map(
    ([name, value]) => `<member><OutputKey>${name}</OutputKey><OutputValue>${value}</OutputValue></member>`,
  );
  return {
    body: `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member><StackName>S</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>${status}</StackStatus>${members.length > 0 ? `<Outputs>${members.join('')}</Outputs>` : ''}</member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
  };
};

export const bootstrap = (version: string): Reply => json({ Parameter: { Value: version } });
export const logRole = (arn?: string): Reply => json(arn ? { cloudwatchRoleArn: arn } : {});
export const quota = (all: number, unreserved: number): Reply =>
  json({ AccountLimit: { ConcurrentExecutions: all, UnreservedConcurrentExecutions: unreserved } });

/** An account with nothing to complain about. */
export const healthy: Replies = {
  GetCallerIdentity: identity('arn:aws:sts::123456789012:assumed-role/Admin/me@example.com'),
  DescribeStacks: xmlFailure(400, 'ValidationError', 'Stack with id LlmGatewayStack does not exist'),
  GetParameter: bootstrap('28'),
  GetAccount: logRole(),
  GetAccountSettings: quota(1000, 1000),
  Converse: json({
    output: { message: { role: 'assistant', content: [{ text: 'Hello' }] } },
    stopReason: 'end_turn',
    usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
    metrics: { latencyMs: 1 },
  }),
  InvokeModel: json({ embedding: [1], inputTextTokenCount: 1 }),
};

/** Gives the test an AWS that answers like this, and otherwise like a healthy account. */
export async function withAws<T>(replies: Replies, test: (aws: StandIn) => Promise<T>): Promise<T> {
  const calls: Call[] = [];
  const server = createServer((request, response) =>
    answer(request, response, { ...healthy, ...replies }, calls),
  );
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = mkdtempSync(join(tmpdir(), 'aws stand-in '));
  try {
    const run: StandIn['run'] = (script, args = [], env = {}) =>
      runIn(folder, [resolve(script), ...args], { AWS_ENDPOINT_URL: url, ...env });
    return await test({ url, calls, folder, run });
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    rmSync(folder, { recursive: true });
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, replies: Replies, calls: Call[]) {
  const call = await toCall(request);
  calls.push(call);
  const responder = replies[call.action] ?? failure(404, 'UnknownOperationException', call.action);
  const reply = typeof responder === 'function' ? await responder(call) : responder;
  if (reply === 'hang') return;
  const isXml = reply.body.startsWith('<');
  response.writeHead(reply.status ?? 200, { 'content-type': isXml ? 'text/xml' : 'application/json' });
  response.end(reply.body);
}

/** STS and CloudFormation name the action in a form, SSM in a header, the others by method and path. */
async function toCall(request: IncomingMessage): Promise<Call> {
  let body = '';
  for await (const part of request.setEncoding('utf8')) body += part;
  const { pathname } = new URL(request.url ?? '/', 'http://aws');
  const [, model, operation] = /^\/model\/([^/]+)\/(converse|invoke)$/.exec(pathname) ?? [];
  const target = String(request.headers['x-amz-target'] ?? '').split('.')[1];
  const byPath: Record<string, string> = {
    '/account': 'GetAccount',
    '/2016-08-19/account-settings': 'GetAccountSettings',
  };
  const operations: Record<string, string> = { converse: 'Converse', invoke: 'InvokeModel' };
  const action =
    target ??
    new URLSearchParams(body).get('Action') ??
    (operation ? operations[operation] : byPath[pathname]) ??
    pathname;
  const [, key, region] = /Credential=([^/]+)\/\d+\/([^/]+)/.exec(request.headers.authorization ?? '') ?? [];
  return { action, model: decodeURIComponent(model ?? ''), body, signedBy: `${key} ${region}` };
}

/** Node with these arguments, a single try of every call, and nothing of this process's environment but the PATH. */
export async function runIn(cwd: string, args: readonly string[], env: Variables): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    cwd,
    env: {
      PATH: process.env['PATH'],
      HOME: cwd,
      AWS_ACCESS_KEY_ID: 'AKIATEST',
      AWS_SECRET_ACCESS_KEY: 'canary-secret',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_MAX_ATTEMPTS: '1',
      ...env,
    },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, out, err };
}
