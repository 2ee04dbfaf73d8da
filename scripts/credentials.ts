/**
 * Which access key a command signs with. A gateway on this machine knows only the keys that it was started with, so AWS's profiles,
 * sign-ins and roles are only asked for a gateway elsewhere.
 */
import { readFileSync } from 'node:fs';
import { parseKeys } from '../src/local/keys.ts';

export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Only temporary credentials have one. */
  readonly sessionToken?: string;
};

/** Where credentials are kept, for tests that keep them elsewhere. */
export type Sources = {
  readonly keyPath: string;
  readonly standardChain: () => Promise<Credentials>;
};

const sourcesOfThisMachine: Sources = {
  keyPath: '.local/iam-key',
  async standardChain() {
    const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
    const { accessKeyId, secretAccessKey, sessionToken } = await defaultProvider()();
    return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  },
};

/**
 * For this machine: the environment, `LOCAL_IAM_KEYS`, the key that `npm start` made. For anywhere else: AWS's standard chain, which
 * reads environment, profiles, single sign-on and roles for itself.
 *
 * @throws `Error` with a sentence for the user, and without any part of a key
 */
export async function loadCredentials(
  url: URL,
  env: Readonly<NodeJS.ProcessEnv>,
  sources = sourcesOfThisMachine,
): Promise<Credentials> {
  const credentials = isLoopback(url)
    ? loadLocalCredentials(env, sources.keyPath)
    : await sources.standardChain().catch((cause) => {
        throw new Error(
          'No AWS credentials could be loaded; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or renew your sign-in with aws sso login.',
          { cause },
        );
      });
  // Told here, since the error of a header that cannot be sent quotes it.
  if (Object.values(credentials).some((part) => !/^[\x21-\x7e]+$/.test(part)))
    throw new Error('The AWS credentials hold a space or another character that no key has.');
  return credentials;
}

function loadLocalCredentials(env: Readonly<NodeJS.ProcessEnv>, keyPath: string): Credentials {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = env['AWS_SESSION_TOKEN'];
  if (accessKeyId && secretAccessKey)
    return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  if (env['LOCAL_IAM_KEYS']) return firstOf('LOCAL_IAM_KEYS', env['LOCAL_IAM_KEYS']);
  const kept = readKey(keyPath);
  if (kept === undefined)
    throw new Error('There is no key for the gateway on this machine yet; run npm start first.');
  return firstOf(keyPath, kept);
}

function firstOf(origin: string, pairs: string): Credentials {
  const [[accessKeyId, secretAccessKey] = ['', '']] = parseKeys(origin, pairs);
  return { accessKeyId, secretAccessKey };
}

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export const isLoopback = ({ hostname }: URL) =>
  hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname) || /(^|\.)localhost$/.test(hostname);
