/**
 * The keys of the laptop, which AWS would keep: API keys, a tenant and a key each, of which only digests are held, and access keys, whose
 * secrets a signature cannot be verified without.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** The tenant of a key, or nothing for one that nobody was given. */
export type FindTenant = (key: string) => string | undefined;

export function createKeyring(keys: ReadonlyMap<string, string>): FindTenant {
  const tenants = new Map([...keys].map(([tenant, key]) => [digest(key), tenant]));
  return (key) => tenants.get(digest(key));
}

const digest = (key: string) => createHash('sha256').update(key).digest('hex');

/**
 * `alice=key1,bob=key2` as tenant, or access key id → key.
 *
 * @throws `Error` with a sentence for whoever wrote the variable
 */
export function parseKeys(variable: string, value: string): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  for (const pair of value.split(',').filter((part) => part.trim() !== '')) {
    const [, tenant, key] = /^\s*([A-Za-z0-9_-]{1,128})=(\S{1,128})\s*$/.exec(pair) ?? [];
    if (!tenant || !key)
      throw new Error(`${variable} must be name=key,name=key with names of A-Z, a-z, 0-9, _ and -.`);
    keys.set(tenant, key);
  }
  if (keys.size === 0) throw new Error(`${variable} must hold at least one name=key.`);
  return keys;
}

/** Access key id → secret, for callers who sign. */
export type AccessKeys = ReadonlyMap<string, string>;

/** As `loadOrCreateKey`, for a pair that signs; the file has it as `id=secret`. */
export function loadOrCreateAccessKey(path: string | undefined): AccessKeys {
  return parseKeys(path ?? 'The access key', loadOrCreate(path, createAccessKey));
}

const createAccessKey = () =>
  `AKIALOCAL${randomBytes(5).toString('hex').toUpperCase()}=${randomBytes(30).toString('base64url')}`;

/** The key that was made on the first start and is kept in `path`; made anew when there is no path. */
export function loadOrCreateKey(path: string | undefined): string {
  return loadOrCreate(path, () => `local${randomBytes(20).toString('hex')}`);
}

function loadOrCreate(path: string | undefined, create: () => string): string {
  const kept = path === undefined ? undefined : readKey(path);
  if (kept) return kept;
  const key = create();
  if (path !== undefined) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${key}\n`, { mode: 0o600 });
  }
  return key;
}

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
